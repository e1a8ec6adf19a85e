"""A release whose pods never become ready, on a real cluster: its own progress deadline is the proof, and no metric is asked."""

from pathlib import Path

from rollbackd.controller.demo.receiver import Receiver
from tests.e2e.daemon import policy, running
from tests.e2e.fleet import Fleet, Shop, exposed
from tests.kube import RealKube

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAMESPACE = "e2e-stuck"
STUCK = {"use": "stuck-rollout", "with": {"for": "0s"}}


def test_a_rollout_past_its_progress_deadline_is_put_back_and_closed_as_recovered(real_kube: RealKube, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    real_kube.image_behaves("shop:hangs", "unready")
    with exposed(Fleet(real_kube)) as page, Receiver(SECRET) as receiver:
        config = {
            "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
            "clusters": {"test": {"kubeconfig": str(real_kube.kubeconfig)}},
            "contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(tmp_path / "secret")}}]},
        }
        text = policy(NAMESPACE, {"kubernetes": {"namespace": NAMESPACE, "deployment": "checkout"}}, STUCK)
        with running(tmp_path, config, {NAMESPACE: text}) as daemon:
            shop = Shop(daemon, real_kube, NAMESPACE)
            shop.open(progressDeadlineSeconds=2)
            shop.stage.release("shop:hangs", settled=False)
            how = shop.closed()["how"]
            (opened,) = daemon.rows(shop.target, "incident.opened")
            assert (how, shop.image) == ("recovered", "shop:1")
            assert "stuck-rollout breach: ReplicaSet" in opened["body"]["reason"]
            assert "has timed out progressing" in opened["body"]["reason"]
    real_kube.empty_namespace(NAMESPACE)
