/* One intent, two actors, one target: claim, deadline, precondition, pause switch.
 *
 * The names after "product:" are the functions that a step stands for; tests/model/test_model.py holds that they exist.
 * -DNO_PRECONDITION takes the target's own fence away, -DNO_PAUSE the look at the switch, -DONE_LOOK the look just before the write: then the
 * checks below must fail.
 *
 * Time is a choice: a deadline may pass at any moment, as it does for an actor that is frozen, cut off or merely slow.
 */

#define ACTORS 2
#define NOBODY 255
#define BEFORE 0
#define THERE 1
#define ELSEWHERE 2

byte target = BEFORE;      /* where the target stands relative to the intent */
byte accepted = 0;         /* writes for this intent that the target took */
byte claimant = NOBODY;
bool is_intended = false;  /* the intent is durable */
bool is_over = false;      /* the claim has its outcome */
bool has_passed = false;   /* the claim's deadline, on the database clock */
bool is_paused = false;
byte attempts = 0;
bool has_looked[ACTORS + 1];  /* it found the switch open, and has not gone on yet */
bool may_end[ACTORS + 1];     /* the switch was thrown after it had looked: what it was about to do, it may still do, once */

/* A write on its way: it may arrive late, long after its sender gave up or died. */
chan line = [ACTORS] of { byte };

inline precondition_holds() {
#ifdef NO_PRECONDITION
  true
#else
  target == BEFORE
#endif
}

#ifdef NO_PAUSE
#define PAUSED false
#else
#define PAUSED is_paused
#endif

#ifdef ONE_LOOK
#define SECOND_LOOK(me) has_looked[me] = true
#else
#define SECOND_LOOK(me) look(me)
#endif

/* The target takes a write, or refuses it: what was judged is no longer there.
 * product: rollbackd.adapters.kubernetes.target.Kubernetes.apply
 * product: rollbackd.adapters.base.flag_target.FlagTarget.apply
 */
active proctype Target() {
  byte sender;
end:
  do
  :: line ? sender ->
     atomic {
       if
       :: precondition_holds() -> target = THERE; accepted++; assert(accepted <= 1)
       :: else -> skip
       fi
     }
  od
}

/* The switch is a file: no lock is held between the look at it and what follows, however long that takes.
 * product: rollbackd.controller.pause.file.Pause.read
 * product: rollbackd.controller.pause.shared.SharedPause.read
 */
inline look(me) {
  atomic {
    has_looked[me] = !PAUSED;
    may_end[me] = false
  }
}

/* What is begun on a look was open at that look: either it is open now, or it was thrown since. */
inline go_on(me) {
  assert(!is_paused || may_end[me]);
  has_looked[me] = false; may_end[me] = false
}

/* A step begins only here: the intent is durable.
 * product: rollbackd.controller.act.actor.Actor._claim
 * product: rollbackd.controller.journal.transaction.Transaction.claim
 */
inline claim(me) {
  look(me);
  atomic {
    if
    :: has_looked[me] && !is_intended ->
       go_on(me);
       is_intended = true; claimant = me; has_passed = false; attempts = 1; holds = true
    :: else -> skip
    fi
  }
}

/* Only a claim that has run out without an outcome.
 * product: rollbackd.controller.journal.transaction.Transaction.take_over
 */
inline take_over(me) {
  atomic {
    if
    :: is_intended && !is_over && has_passed && attempts < 3 ->
       claimant = me; has_passed = false; attempts++; holds = true
    :: else -> skip
    fi
  }
}

/* Whether the claim is still held, and whether all is paused, is asked before the write, and may be untrue when it leaves: an actor can stand
 * still in between.
 * product: rollbackd.controller.journal.values.Claim.lets_begin
 * product: rollbackd.controller.act.actor.Actor._write
 */
inline write(me) {
  if
  :: claimant == me && !has_passed && !is_over ->
     SECOND_LOOK(me);
     atomic {
       if
       :: has_looked[me] -> go_on(me); line ! me
       :: else -> skip
       fi
     }
  :: else -> skip
  fi
}

/* product: rollbackd.controller.act.outcome.Outcomes.applied
 * product: rollbackd.controller.act.outcome.Outcomes.record
 */
inline outcome() {
  atomic {
    if
    :: is_intended && target != BEFORE -> is_over = true
    :: else -> skip
    fi
  }
}

/* One life after the other: every step may be the last one of a life, and the next life begins with nothing but the journal.
 * product: rollbackd.controller.engine.engine.Engine.cycle
 * product: rollbackd.controller.act.actor.Actor.begin
 * product: rollbackd.controller.act.actor.Actor.resume
 */
active [ACTORS] proctype Actor() {
  bool holds;
  byte lives = 2, known, seen;
  do
  :: lives > 0 ->
     lives--;
     holds = false;
     if
     :: !is_intended -> claim(_pid)
     :: is_intended && !is_over && !has_passed -> skip  /* whoever has it may be writing */
     :: is_intended && !is_over && has_passed ->
        /* product: rollbackd.controller.act.takeover.Takeover._due
         * product: rollbackd.controller.act.takeover.Takeover._see
         * product: rollbackd.controller.act.takeover.Takeover.of */
        known = attempts;
        seen = target;
        take_over(_pid);
        if
        :: holds && attempts != known + 1 -> holds = false  /* another one had it meanwhile: what was seen says nothing */
        :: holds && attempts == known + 1 && seen != BEFORE -> holds = false; outcome()
        :: else -> skip  /* product: rollbackd.controller.act.takeover.Takeover._write_again */
        fi
     :: is_over -> break
     fi;
     if
     :: holds -> write(_pid)
     :: true -> skip  /* killed between the intent and the write */
     fi;
     if
     :: outcome()
     :: true -> skip  /* killed before the outcome is on record */
     fi
  :: lives == 0 -> break
  od
}

/* The database clock. product: rollbackd.controller.journal.reading.Reading.now */
active proctype Deadline() {
  byte times = 2;
end:
  do
  :: times > 0 && is_intended && !has_passed -> has_passed = true; times--
  od
}

/* product: rollbackd.controller.pause.switch.Switch.pause
 * product: rollbackd.controller.pause.switch.Switch.resume
 */
inline pause() {
  atomic {
    is_paused = true;
    may_end[1] = has_looked[1]; may_end[2] = has_looked[2]
  }
}

active proctype People() {
  pause();
  is_paused = false;
  pause()
}

/* Somebody else goes on to another revision, and does not come back to the judged one: a target that carries our mark shows that case,
 * and one that cannot is told about in docs/safety.md. */
active proctype OtherWriter() {
  if
  :: target = ELSEWHERE
  :: true -> skip
  fi
}
