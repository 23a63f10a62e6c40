"""When a night may run, and the job that runs it: cron, window, idle, held, missed nights.

The night itself is a subprocess (`python -m align_agent.night`), so that its memory is truly
returned. Decides nothing about turns or adapters. APScheduler is imported inside functions.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from align_agent.adapters.registry import Registry
from align_agent.config import Config, load_config
from align_agent.errors import AlignAgentError, ConfigError, MissingDependency
from align_agent.night.lock import NightLock
from align_agent.paths import Home

if TYPE_CHECKING:
    from align_agent.store import Store

log = logging.getLogger(__name__)

SINCE = "schedule_since"
TICK_S = 300
LOG_BYTES = 1_000_000
_LOOKBACKS = (timedelta(hours=1), timedelta(days=1), timedelta(days=8), timedelta(days=366))
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a night may start now; `reasons` are what forbids it, or what allows it."""

    allowed: bool
    reasons: tuple[str, ...]


def may_run(
    now: datetime, config: Config, store: Store, registry: Registry, lock: NightLock
) -> Permission:
    """Inside the window AND idle AND not held AND no other night running.

    `now` carries the time zone in which the window is meant.
    """
    schedule = config.schedule
    against: list[str] = []
    if not schedule.enabled:
        against.append("nights are switched off (schedule.enabled)")
    if not inside_window(now, schedule.window):
        against.append(f"it is {now:%H:%M}, outside the window {schedule.window}")
    idle = idle_minutes(now, store)
    if idle is not None and idle < schedule.idle_minutes:
        against.append(
            f"the last message came {idle:.0f} minutes ago, {schedule.idle_minutes} are asked for"
        )
    held = registry.held()
    if held:
        against.append(f"promotion is held: {held}")
    if lock.busy():
        against.append("another night is running")
    if against:
        return Permission(False, tuple(against))
    quiet = "no message yet" if idle is None else f"idle for {idle:.0f} minutes"
    return Permission(True, (f"inside the window {schedule.window or 'always'}", quiet))


def inside_window(now: datetime, window: str) -> bool:
    """Whether `now` lies in "HH:MM-HH:MM", which may span midnight; an empty window is always.

    The start belongs to the window, the end does not. Equal ends mean the whole day.
    """
    if not window.strip():
        return True
    try:
        start, end = (time.fromisoformat(part.strip()) for part in window.split("-"))
    except ValueError:
        raise ConfigError(
            f"schedule.window is {window!r}", hint='write it like "01:00-07:00"'
        ) from None
    moment = now.time().replace(tzinfo=None)
    if start == end:
        return True
    if start < end:
        return start <= moment < end
    return moment >= start or moment < end


def idle_minutes(now: datetime, store: Store) -> float | None:
    """Minutes since the last turn, None before the first."""
    last = store.turns.last_activity()
    if not last:
        return None
    return max((now - _moment(last)).total_seconds() / 60, 0.0)


def next_fire(config: Config, now: datetime) -> datetime | None:
    """When cron asks for the next night, in the time zone of `now`; None while switched off.

    Raises ConfigError for a cron expression that cannot be read, MissingDependency.
    """
    if not config.schedule.enabled:
        return None
    found: datetime | None = _trigger(config.schedule.cron, now.tzinfo).get_next_fire_time(
        None, now + timedelta(microseconds=1)
    )
    return found


def last_due(config: Config, now: datetime) -> datetime | None:
    """The latest moment up to `now` at which cron asked for a night, None within a year."""
    trigger = _trigger(config.schedule.cron, now.tzinfo)
    for lookback in _LOOKBACKS:
        fire = trigger.get_next_fire_time(None, now - lookback)
        if fire is None or fire > now:
            continue
        while (later := trigger.get_next_fire_time(fire, fire + timedelta(seconds=1))) is not None:
            if later > now:
                break
            fire = later
        return fire  # type: ignore[no-any-return]
    return None


def is_due(config: Config, store: Store, now: datetime, since: datetime) -> bool:
    """Whether cron asked for a night that no finished run has answered.

    `since` is the moment before which nothing counts as missed: with `schedule.catch_up` the first
    start of the scheduler ever, else its latest start.
    """
    due = last_due(config, now)
    if due is None or due < since:
        return False
    finished = [run.finished_at for run in store.runs.list(limit=20) if run.finished_at]
    return not any(_moment(moment) >= due for moment in finished)


class Scheduler:
    """Runs nights in the background: at the cron times, and as soon as allowed after a miss."""

    def __init__(self, home: Home, *, tick_s: float = TICK_S) -> None:
        self._home = home
        self._tick_s = tick_s
        self._started = datetime.now().astimezone()
        self._jobs: Any = None
        self._cron = ""
        self._one = threading.Lock()
        self._night: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin. A night that was missed starts as soon as the window and idleness allow.

        Raises ConfigError, MissingDependency.
        """
        scheduling = _apscheduler("apscheduler.schedulers.background")
        config = load_config(self._home.config)
        self._started = datetime.now().astimezone()
        self._remember_first_start()
        # Without misfire_grace_time=None a laptop that slept at 03:00 skips the night silently.
        always = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._jobs = scheduling.BackgroundScheduler(timezone=self._started.tzinfo)
        self._cron = config.schedule.cron
        trigger = _trigger(self._cron, self._started.tzinfo)
        self._jobs.add_job(self.tick, trigger, id="night", **always)
        self._jobs.add_job(
            self.tick,
            "interval",
            seconds=self._tick_s,
            id="retry",
            next_run_time=self._started,
            **always,
        )
        self._jobs.start()

    def stop(self) -> None:
        """End. A night that runs is asked to stop, and can be resumed by the next one."""
        self._stopping.set()
        if self._jobs is not None:
            self._jobs.shutdown(wait=False)
            self._jobs = None
        night = self._night
        if night is not None and night.poll() is None:
            night.terminate()
            try:
                night.wait(timeout=20)
            except subprocess.TimeoutExpired:
                night.kill()
                night.wait()

    def tick(self) -> int | None:
        """Run a night if one is due and allowed. Returns its exit code, None when none ran.

        Never raises: what goes wrong is logged and becomes an event, and the next tick tries again.
        """
        if self._stopping.is_set() or not self._one.acquire(blocking=False):
            return None
        try:
            return self._run() if self._wanted() else None
        except Exception as error:
            self._report(error)
            return None
        finally:
            self._one.release()

    def _wanted(self) -> bool:
        from align_agent.store import Store

        config = load_config(self._home.config)
        self._follow(config)
        now = datetime.now().astimezone()
        with Store.open(self._home.database) as store:
            since = self._started
            first = store.state.get(SINCE)
            if config.schedule.catch_up and first:
                since = _moment(first)
            if not is_due(config, store, now, since):
                return False
            registry = Registry(store, self._home)
            permission = may_run(now, config, store, registry, NightLock(self._home.night_lock))
            if not permission.allowed:
                log.info("a night is due but must wait: %s", "; ".join(permission.reasons))
            return permission.allowed

    def _run(self) -> int:
        command = [sys.executable, "-m", "align_agent.night", "--home", str(self._home.root)]
        path = self._home.logs / "night.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("ab") as output:
            self._night = subprocess.Popen(
                [*command, "--trigger", "schedule"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ.copy(),
            )
            return self._night.wait()

    def _follow(self, config: Config) -> None:
        """Take over a cron expression that was edited while the scheduler runs."""
        if self._jobs is not None and config.schedule.cron != self._cron:
            trigger = _trigger(config.schedule.cron, self._started.tzinfo)
            self._jobs.reschedule_job("night", trigger=trigger)
            self._cron = config.schedule.cron

    def _remember_first_start(self) -> None:
        from align_agent.store import Store

        with Store.open(self._home.database) as store:
            if not store.state.get(SINCE):
                store.state.set(SINCE, self._started.astimezone(UTC).isoformat())

    def _report(self, error: Exception) -> None:
        from align_agent.store import Store

        log.error("the scheduler could not start a night: %s", error)
        try:
            with Store.open(self._home.database) as store:
                store.events.add("schedule_failed", f"no night could be started: {error}")
                store.counters.bump("schedule_failures")
        except AlignAgentError as second:
            log.error("and this could not be stored: %s", second)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _apscheduler(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            "the scheduler needs APScheduler", hint="pip install 'align-agent[schedule]'"
        ) from error


def _trigger(cron: str, zone: Any) -> Any:
    """An APScheduler trigger that means what crontab(5) means.

    APScheduler counts weekdays from Monday and wants both day fields to match; cron counts from
    Sunday and, where both are given, is content with either.
    """
    triggers = _apscheduler("apscheduler.triggers.cron")
    fields = cron.split()
    if len(fields) != 5:
        raise _bad_cron(cron, f"it has {len(fields)} fields of 5")
    minute, hour, day, month, weekday = fields
    common = {"minute": minute, "hour": hour, "month": month, "timezone": zone}
    try:
        days = weekdays(weekday)
        if day != "*" and days != "*":
            either = _apscheduler("apscheduler.triggers.combining")
            return either.OrTrigger(
                [
                    triggers.CronTrigger(day=day, **common),
                    triggers.CronTrigger(day_of_week=days, **common),
                ]
            )
        return triggers.CronTrigger(day=day, day_of_week=days, **common)
    except ValueError as error:
        raise _bad_cron(cron, str(error)) from error


def weekdays(field: str) -> str:
    """crontab's weekday field (0 and 7 are Sunday) as names, which mean the same everywhere.

    Raises ValueError for a field that crontab would refuse.
    """
    if field == "*":
        return field
    named: set[int] = set()
    for part in field.lower().split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdigit() or int(step) < 1):
            raise ValueError(f"the step of {part!r} is no number above 0")
        first, dash, last = span.partition("-")
        low, high = (0, 6) if span == "*" else (_weekday(first), _weekday(last if dash else first))
        if slash and not dash and span != "*":
            high = 6
        if low > high and high == 0:
            high = 7  # "fri-sun": Sunday ends the range
        if low > high:
            raise ValueError(f"{span!r} runs backwards")
        named.update(day % 7 for day in range(low, high + 1, int(step) if slash else 1))
    return ",".join(_DAYS[day] for day in sorted(named))


def _weekday(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if text.isascii() and text.isdigit() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is no weekday")


def _bad_cron(cron: str, why: str) -> ConfigError:
    return ConfigError(
        f"schedule.cron {cron!r} cannot be read: {why}",
        hint='five fields: minute, hour, day, month, weekday; "0 3 * * *" is every night at 3',
    )
