import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from align_agent import schedule
from align_agent.adapters.registry import Registry
from align_agent.config import Config, ScheduleConfig
from align_agent.errors import ConfigError
from align_agent.localtime import LOCAL
from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.records import Message, Run, Turn
from align_agent.schedule import (
    SINCE,
    Scheduler,
    inside_window,
    is_due,
    last_due,
    may_run,
    next_fire,
    next_start,
)
from align_agent.store import Store

BERLIN = ZoneInfo("Europe/Berlin")
THREE = datetime(2026, 5, 4, 3, 0, tzinfo=BERLIN)  # a Monday


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


@pytest.fixture
def store(home: Home):
    with Store.open(home.database) as opened:
        yield opened


def config(**schedule: object) -> Config:
    return replace(Config(), schedule=replace(ScheduleConfig(), **schedule))  # type: ignore[arg-type]


def allowed(now: datetime, home: Home, store: Store, **schedule: object):
    registry = Registry(store, home)
    return may_run(now, config(**schedule), store, registry, NightLock(home.night_lock))


def say(store: Store, when: datetime) -> None:
    stamp = when.astimezone(UTC).isoformat(timespec="microseconds")
    store.turns.add(
        Turn(
            "c",
            (Message("user", "hello"),),
            (Message("assistant", "hi"),),
            "hello",
            "hi",
            created_at=stamp,
        )
    )


def ended(store: Store, when: datetime, status: str = "promoted") -> None:
    stamp = when.astimezone(UTC).isoformat(timespec="microseconds")
    run = Run(id=f"run-{stamp}", status=status, started_at=stamp, finished_at=stamp)
    store.runs.create(run)


# May a night run?


def test_a_night_may_run_inside_the_window_after_a_quiet_while(home, store):
    say(store, THREE - timedelta(hours=2))
    assert allowed(THREE, home, store).allowed


def test_no_night_outside_the_window(home, store):
    permission = allowed(THREE.replace(hour=12), home, store)
    assert not permission.allowed
    assert "12:00" in permission.reasons[0] and "01:00-07:00" in permission.reasons[0]


def test_no_night_while_somebody_talks(home, store):
    say(store, THREE - timedelta(minutes=5))
    permission = allowed(THREE, home, store)
    assert not permission.allowed
    assert "5 min ago" in permission.reasons[0]


def test_no_night_while_promotion_is_held(home, store):
    Registry(store, home).hold("I like it as it is")
    permission = allowed(THREE, home, store)
    assert not permission.allowed
    assert "I like it as it is" in permission.reasons[0]


def test_no_night_while_another_runs(home, store):
    with NightLock(home.night_lock):
        assert not allowed(THREE, home, store).allowed
    assert allowed(THREE, home, store).allowed


def test_no_night_while_nights_are_switched_off(home, store):
    assert not allowed(THREE, home, store, enabled=False).allowed


def test_every_obstacle_is_told_at_once(home, store):
    say(store, THREE.replace(hour=12))
    Registry(store, home).hold("x")
    assert len(allowed(THREE.replace(hour=12), home, store, enabled=False).reasons) == 4


def test_the_window_is_meant_in_local_time(home, store):
    # 01:30 UTC is 03:30 in Berlin's summer.
    moment = datetime(2026, 7, 1, 1, 30, tzinfo=UTC).astimezone(BERLIN)
    assert allowed(moment, home, store, window="03:00-04:00").allowed


@pytest.mark.parametrize(
    ("clock", "inside"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("06:00", False)],
)
def test_a_window_may_pass_midnight(clock, inside):
    hour, minute = map(int, clock.split(":"))
    assert inside_window(THREE.replace(hour=hour, minute=minute), "22:00-06:00") is inside


@given(st.times())
def test_equal_ends_mean_the_whole_day(moment):
    assert inside_window(datetime.combine(THREE, moment, tzinfo=BERLIN), "05:00-05:00")


@given(st.times(), st.times(), st.times())
def test_a_window_and_its_complement_share_no_moment(start, end, moment):
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    now = datetime.combine(THREE, moment, tzinfo=BERLIN)
    one = inside_window(now, f"{start:%H:%M}-{end:%H:%M}")
    other = inside_window(now, f"{end:%H:%M}-{start:%H:%M}")
    assert one != other or start == end


# When is one due?


def test_the_next_night_is_at_the_cron_time():
    fire = next_fire(config(cron="30 4 * * *"), THREE)
    assert fire == THREE.replace(hour=4, minute=30)


def test_the_next_night_is_never_now():
    assert next_fire(config(), THREE) == THREE + timedelta(days=1)


def test_no_next_night_while_switched_off():
    assert next_fire(config(enabled=False), THREE) is None


def test_weekdays_by_name_mean_what_they_say():
    fire = next_fire(config(cron="0 3 * * sun"), THREE)
    assert fire is not None and fire.strftime("%A") == "Sunday"


def test_day_and_weekday_together_are_either_as_in_cron():
    fire = next_fire(config(cron="0 3 20 * fri"), THREE)
    assert fire == THREE.replace(day=8)  # the Friday comes before the 20th


def test_an_hour_that_the_clock_skips_does_not_lose_the_night():
    # On 29 March 2026 Berlin's clocks go from 02:00 to 03:00.
    before = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)
    fire = next_fire(config(cron="30 2 * * *"), before)
    assert fire is not None and fire - before < timedelta(days=2)


@pytest.mark.parametrize("cron", ["", "0 3 * *", "0 25 * * *", "0 3 * * noday", "x y z a b"])
def test_a_cron_expression_that_cannot_be_read_is_a_configuration_error(cron):
    with pytest.raises(ConfigError) as caught:
        next_fire(config(cron=cron), THREE)
    assert caught.value.hint


@settings(max_examples=40, deadline=None)
@given(
    minute=st.integers(0, 59),
    hour=st.sampled_from(["*", "*/4", "0", "3", "23"]),
    weekday=st.sampled_from(["*", "mon", "sat,sun", "mon-fri"]),
    offset=st.integers(0, 14 * 24 * 60),
)
def test_no_fire_lies_between_the_last_due_moment_and_the_next(minute, hour, weekday, offset):
    now = datetime(2026, 5, 4, tzinfo=UTC) + timedelta(minutes=offset)
    chosen = config(cron=f"{minute} {hour} * * {weekday}")
    due = last_due(chosen, now)
    assert due is not None and due <= now
    following = next_fire(chosen, due)
    assert following is not None and following > now


def test_a_night_is_due_when_none_ended_since_the_cron_time(store):
    ended(store, THREE - timedelta(days=1))
    assert is_due(config(), store, THREE + timedelta(hours=1), THREE - timedelta(days=9))


def test_a_night_that_ended_since_is_enough(store):
    ended(store, THREE + timedelta(minutes=9))
    assert not is_due(config(), store, THREE + timedelta(hours=1), THREE - timedelta(days=9))


@pytest.mark.parametrize("status", ["skipped", "failed", "rejected"])
def test_a_night_that_ended_badly_is_not_tried_again_before_the_next_time(store, status):
    ended(store, THREE + timedelta(minutes=9), status)
    assert not is_due(config(), store, THREE + timedelta(hours=1), THREE - timedelta(days=9))


def test_an_interrupted_night_is_still_due(store):
    ended(store, THREE + timedelta(minutes=9), "interrupted")
    assert is_due(config(), store, THREE + timedelta(hours=1), THREE - timedelta(days=9))


def test_what_was_due_before_align_agent_was_there_is_not_missed(store):
    assert not is_due(config(), store, THREE + timedelta(hours=1), THREE + timedelta(minutes=1))


def test_a_hundred_other_runs_do_not_hide_the_night_that_ended(store):
    ended(store, THREE + timedelta(minutes=20))
    for number in range(100):
        stamp = (THREE + timedelta(minutes=30 + number)).astimezone(UTC).isoformat()
        store.runs.create(Run(f"run-{number}", "stopped", "solve", stamp, stamp))
    assert not is_due(config(), store, THREE + timedelta(hours=3), THREE - timedelta(days=9))


def test_a_message_of_the_future_puts_no_night_off(home, store):
    say(store, THREE + timedelta(days=400))
    assert allowed(THREE, home, store).allowed
    say(store, THREE - timedelta(minutes=5))
    assert "5 min ago" in allowed(THREE, home, store).reasons[0]


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@given(st.datetimes(datetime(2000, 1, 1), datetime(2036, 1, 1)))
@settings(max_examples=300)
@example(datetime(2026, 10, 25, 0, 30))
@example(datetime(2026, 10, 25, 1, 30))
def test_the_machines_zone_follows_the_seasons(moment):
    there, told = (moment.replace(tzinfo=UTC).astimezone(zone) for zone in (BERLIN, LOCAL))
    assert (told.isoformat(), told.fold) == (there.isoformat(), there.fold)
    assert told.timestamp() == there.timestamp()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("day", "before_three"),
    [
        (datetime(2026, 3, 29), datetime(2026, 3, 29, 1, 30)),
        (datetime(2026, 10, 25), datetime(2026, 10, 25, 2, 30, fold=1)),
    ],
)
def test_when_the_clock_is_changed_the_night_is_due_at_its_hour_and_once(store, day, before_three):
    noon = (day - timedelta(hours=12)).replace(tzinfo=LOCAL)
    three = day.replace(hour=3, tzinfo=LOCAL)
    assert next_fire(config(), noon).timestamp() == three.timestamp()
    ended(store, (day - timedelta(days=1)).replace(hour=3, minute=20, tzinfo=LOCAL))
    since = noon - timedelta(days=30)
    assert not is_due(config(), store, before_three.replace(tzinfo=LOCAL), since)
    assert is_due(config(), store, three + timedelta(minutes=1), since)


# The scheduler itself


def configured(home: Home, **schedule: object) -> None:
    lines = "".join(f"  {key}: {value}\n" for key, value in schedule.items())
    home.config.write_text(f"schedule:\n{lines}", encoding="utf-8")


def missed(home: Home) -> None:
    """As if the machine had slept at all cron times of the last two days."""
    with Store.open(home.database) as store:
        store.state.set(SINCE, (datetime.now(UTC) - timedelta(days=2)).isoformat())


def runs_of(home: Home) -> list[Run]:
    with Store.open(home.database) as store:
        return store.runs.list()


ALWAYS = {"window": '"00:00-00:00"', "idle_minutes": 0}


def wait_for_a_run(home: Home) -> Run:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = [run for run in runs_of(home) if run.finished_at]
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError((home.logs / "night.log").read_text())


def test_a_missed_night_is_caught_up_at_start_in_a_process_of_its_own(home):
    configured(home, **ALWAYS)
    missed(home)
    scheduler = Scheduler(home)
    scheduler.start()
    try:
        run = wait_for_a_run(home)
    finally:
        scheduler.stop()
    assert run.status == "skipped"
    assert run.config["trigger"] == "schedule"
    assert "nothing to learn" in (home.logs / "night.log").read_text()


def test_a_missed_night_is_caught_up_only_once(home):
    configured(home, **ALWAYS)
    missed(home)
    scheduler = Scheduler(home)
    assert scheduler.tick() == 0
    assert scheduler.tick() is None
    assert len(runs_of(home)) == 1


def test_without_catch_up_a_missed_night_is_let_go(home):
    configured(home, catch_up="false", **ALWAYS)
    missed(home)
    assert Scheduler(home).tick() is None
    assert runs_of(home) == []


def test_a_missed_night_waits_for_the_window(home):
    later = datetime.now().astimezone() + timedelta(hours=2)
    configured(home, window=f'"{later:%H:%M}-{later + timedelta(hours=1):%H:%M}"', idle_minutes=0)
    missed(home)
    assert Scheduler(home).tick() is None


def test_a_missed_night_waits_for_a_release(home):
    configured(home, **ALWAYS)
    missed(home)
    with Store.open(home.database) as store:
        Registry(store, home).hold("x")
    assert Scheduler(home).tick() is None
    with Store.open(home.database) as store:
        Registry(store, home).release()
    assert Scheduler(home).tick() == 0


def test_the_first_start_ever_counts_nothing_as_missed(home):
    configured(home, **ALWAYS)
    scheduler = Scheduler(home, tick_s=3600)
    scheduler.start()
    scheduler.stop()
    assert Scheduler(home).tick() is None


def test_an_edited_cron_expression_is_followed_without_a_restart(home):
    configured(home, cron='"0 3 * * *"', window='"00:00-00:00"')
    scheduler = Scheduler(home, tick_s=3600)
    scheduler.start()
    try:
        configured(home, cron='"30 4 * * *"', window='"00:00-00:00"')
        for _ in range(200):
            scheduler.tick()
            if scheduler.next_time() and scheduler.next_time().minute == 30:
                break
            time.sleep(0.05)
        assert (scheduler.next_time().hour, scheduler.next_time().minute) == (4, 30)
    finally:
        scheduler.stop()


def test_a_broken_configuration_is_noted_and_stops_nothing(home):
    home.config.write_text("schedule: [", encoding="utf-8")
    scheduler = Scheduler(home)
    assert scheduler.tick() is None
    with Store.open(home.database) as store:
        assert store.events.list(kind="schedule_failed")
        assert store.counters.all()["schedule_failures"] == 1
    configured(home, **ALWAYS)
    missed(home)
    assert scheduler.tick() == 0


def test_starting_with_a_broken_configuration_says_so(home):
    home.config.write_text("schedule: [", encoding="utf-8")
    with pytest.raises(ConfigError):
        Scheduler(home).start()


def test_no_night_begins_once_the_scheduler_was_stopped(home, monkeypatch):
    configured(home, **ALWAYS)
    missed(home)
    scheduler = Scheduler(home)
    monkeypatch.setattr(schedule, "make_ready", lambda *_: scheduler.stop())
    assert scheduler.tick() is None
    assert runs_of(home) == []


def test_stopping_twice_is_fine(home):
    scheduler = Scheduler(home)
    scheduler.start()
    scheduler.stop()
    scheduler.stop()


SLEEPER = """
import sys
from pathlib import Path
from align_agent.paths import Home
from align_agent.schedule import Scheduler
home = Home(Path(sys.argv[1]))
scheduler = Scheduler(home, tick_s=0.2)
scheduler.start()
print("started", flush=True)
sys.stdin.read()
scheduler.stop()
print("stopped", flush=True)
"""


def test_a_night_in_the_way_of_a_killed_scheduler_is_no_orphan_lock(home):
    configured(home, **ALWAYS)
    missed(home)
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Its night, if it was started, ends by itself; the lock is free after that.
    deadline = time.monotonic() + 120
    while NightLock(home.night_lock).busy() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not NightLock(home.night_lock).busy()


def test_importing_the_scheduler_loads_no_heavy_package():
    code = (
        "import sys, align_agent.schedule\n"
        "print([m for m in ('torch', 'apscheduler', 'sqlite_utils', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "cron, window, hour, day",
    [
        ("0 3 * * *", "01:00-07:00", 3, 0),
        ("0 12 * * *", "22:00-02:00", 22, 0),
        ("0 12 * * *", "01:00-07:00", 1, 1),
        ("0 12 * * *", "05:00-05:00", 12, 0),
    ],
)
def test_what_cron_asks_for_outside_the_window_begins_when_it_opens(
    cron: str, window: str, hour: int, day: int
) -> None:
    before = THREE.replace(hour=0)
    start = next_start(config(cron=cron, window=window), before)
    assert start == THREE.replace(hour=hour) + timedelta(days=day)
