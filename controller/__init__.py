"""The daemon: schedule, observe, judge, journal, act, notify. The only place where policies and adapters meet."""
