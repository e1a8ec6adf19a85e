# The image of rollbackd: docs/installing.md says how to build it and what was tried of it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /build
COPY requirements.lock ./
# Every wheel is checked against the lock's hashes here; from here on nothing is fetched.
RUN /build/bin/pip wheel --no-cache-dir --require-hashes --requirement requirements.lock --wheel-dir /wheels
COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY adapters adapters
COPY controller controller
RUN /build/bin/pip install --no-cache-dir --no-index --find-links /wheels --upgrade setuptools
RUN /build/bin/pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /wheels .
# Only what rollbackd needs to run is installed out of the wheels: the lock has the tools of its developers, too.
RUN python -m venv --without-pip /opt/rollbackd
RUN /build/bin/pip --python /opt/rollbackd/bin/python install --no-cache-dir --no-index --find-links /wheels --no-compile 'rollbackd[apprise]'
RUN /opt/rollbackd/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/rollbackd/lib

FROM python:3.11-slim-bookworm
COPY --from=build /opt/rollbackd /opt/rollbackd
RUN install -d -o 65532 -g 65532 /data
ENV PATH=/opt/rollbackd/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp GLIBC_TUNABLES=glibc.malloc.tcache_count=0
# Where the commands look for rollbackd.yaml.
WORKDIR /etc/rollbackd
USER 65532:65532
VOLUME /data
EXPOSE 8081
ENTRYPOINT ["rollbackd"]
CMD ["run"]
