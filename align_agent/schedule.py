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
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from align_agent.adapters.registry import Registry
from align_agent.config import Config, load_config, parse_window
from align_agent.config.times import within
from align_agent.errors import AlignAgentError, ConfigError, MissingDependency
from align_agent.localtime import LOCAL, here
from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.privacy.ready import make_ready

if TYPE_CHECKING:
    from align_agent.store import Store

log = logging.getLogger(__name__)

SINCE = "schedule_since"
TICK_S = 300
LOG_BYTES = 1_000_000
MAX_TRIES = 3  # starts of a night for one due moment: one that dies at once is not hammered
_LOOKBACKS = (timedelta(hours=1), timedelta(days=1), timedelta(days=8), timedelta(days=366))


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
            f"the last message came {idle:.0f} min ago, {schedule.idle_minutes} min are asked for"
        )
    held = registry.held()
    if held:
        against.append(f"promotion is held: {held}")
    if lock.busy():
        against.append("another night is running")
    if against:
        return Permission(False, tuple(against))
    quiet = "no message yet" if idle is None else f"idle for {idle:.0f} minutes"
    return Permission(True, (f"inside the window {schedule.window}", quiet))


def outlook(home: Home, config: Config, store: Store, registry: Registry) -> dict[str, Any]:
    """When the next night is due, whether one may run now, and whether anything would start it."""
    moment = here()
    permission = may_run(moment, config, store, registry, NightLock(home.night_lock))
    reasons = list(permission.reasons)
    try:
        due = next_start(config, moment)
    except MissingDependency as error:
        due = None
        reasons.append(f"{error.message}: {error.hint}")
    return {
        "enabled": config.schedule.enabled,
        "cron": config.schedule.cron,
        "window": config.schedule.window,
        "idle_minutes": config.schedule.idle_minutes,
        "next": due.isoformat() if due else None,
        "scheduler_running": NightLock(home.scheduler_lock).busy(),
        "may_run_now": permission.allowed,
        "reasons": reasons,
    }


def missed(config: Config, store: Store, now: datetime) -> datetime | None:
    """When the night should have run that no run has answered yet; None when none is owed.

    Only what fell due after a scheduler first ran here counts. Raises MissingDependency.
    """
    first = store.state.get(SINCE)
    if not first or not config.schedule.enabled:
        return None
    return last_due(config, now) if is_due(config, store, now, _moment(first)) else None


def inside_window(now: datetime, window: str) -> bool:
    """Whether `now` lies in "HH:MM-HH:MM", which may pass midnight.

    The start belongs to the window, the end does not. Equal ends mean the whole day.
    """
    return within(now.time().replace(tzinfo=None), window)


def opening(now: datetime, window: str) -> datetime:
    """The first moment from `now` on that lies inside the window."""
    if inside_window(now, window):
        return now
    start, _ = parse_window(window)
    opens = now.replace(hour=start.hour, minute=start.minute, second=0, microsecond=0)
    return opens if opens > now else opens + timedelta(days=1)


def next_start(config: Config, now: datetime) -> datetime | None:
    """When the next night can begin: what cron asks for waits for the window.

    Raises as `next_fire`.
    """
    due = next_fire(config, now)
    return None if due is None else opening(due, config.schedule.window)


def idle_minutes(now: datetime, store: Store) -> float | None:
    """Minutes since the last turn, None before the first.

    What a wrong clock or an import dated later than now would put nights off for ever.
    """
    last = store.turns.last_activity(now.astimezone(UTC).isoformat(timespec="microseconds"))
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
    nights = store.runs.list(limit=100, kind="night")
    ended = [run for run in nights if run.finished_at]
    # An interrupted night answers nothing: it is gone on with.
    return not any(_moment(r.finished_at) >= due for r in ended if r.status != "interrupted")


class Scheduler:
    """Runs nights in the background: at the cron times, and as soon as allowed after a miss."""

    def __init__(self, home: Home, *, tick_s: float = TICK_S) -> None:
        self._home = home
        self._tick_s = tick_s
        self._started = here()
        self._jobs: Any = None
        self._cron = ""
        self._one = threading.Lock()
        self._starting = threading.Lock()  # no night begins once `stop` looked for one
        self._night: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._tries: dict[datetime, int] = {}

    def start(self) -> None:
        """Begin. A night that was missed starts as soon as the window and idleness allow.

        Raises ConfigError, MissingDependency.
        """
        scheduling = _apscheduler("apscheduler.schedulers.background")
        config = load_config(self._home.config)
        self._started = here()
        self._remember_first_start()
        # Without misfire_grace_time=None a laptop that slept at 03:00 skips the night silently.
        always = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._jobs = scheduling.BackgroundScheduler(timezone=LOCAL)
        self._cron = config.schedule.cron
        trigger = _trigger(self._cron, LOCAL)
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
        with self._starting:
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

    def next_time(self) -> datetime | None:
        """When the running scheduler will next look because of cron; None while it is stopped."""
        job = self._jobs.get_job("night") if self._jobs is not None else None
        found: datetime | None = job.next_run_time if job is not None else None
        return found

    def tick(self) -> int | None:
        """Run a night if one is due and allowed. Returns its exit code, None when none ran.

        Never raises: what goes wrong is logged and becomes an event, and the next tick tries again.
        """
        if self._stopping.is_set() or not self._one.acquire(blocking=False):
            return None
        try:
            due = self._wanted()
            if due is None or self._tries.get(due, 0) >= MAX_TRIES:
                return None
            self._tries = {due: self._tries.get(due, 0) + 1}
            make_ready(self._home, load_config(self._home.config).privacy)
            code = self._run()
            if code not in (0, 3) and not self._stopping.is_set():
                self._report(f"the night of {due:%Y-%m-%d %H:%M} ended with exit code {code}")
            return code
        except Exception as error:
            self._report(f"no night could be started: {error}")
            return None
        finally:
            self._one.release()

    def _wanted(self) -> datetime | None:
        """The due moment for which a night should start now, None when none should."""
        from align_agent.store import Store

        config = load_config(self._home.config)
        self._follow(config)
        now = here()
        with Store.open(self._home.database) as store:
            since = self._started
            first = store.state.get(SINCE)
            if config.schedule.catch_up and first:
                since = _moment(first)
            if not is_due(config, store, now, since):
                return None
            registry = Registry(store, self._home)
            permission = may_run(now, config, store, registry, NightLock(self._home.night_lock))
            if not permission.allowed:
                log.info("a night is due but must wait: %s", "; ".join(permission.reasons))
            return last_due(config, now) if permission.allowed else None

    def _run(self) -> int | None:
        command = [sys.executable, "-m", "align_agent.night", "--home", str(self._home.root)]
        path = self._home.logs / "night.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("ab") as output:
            with self._starting:
                if self._stopping.is_set():
                    return None
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
            trigger = _trigger(config.schedule.cron, LOCAL)
            self._jobs.reschedule_job("night", trigger=trigger)
            self._cron = config.schedule.cron

    def _remember_first_start(self) -> None:
        from align_agent.store import Store

        with Store.open(self._home.database) as store:
            if not store.state.get(SINCE):
                store.state.set(SINCE, self._started.astimezone(UTC).isoformat())

    def _report(self, message: str) -> None:
        from align_agent.store import Store

        log.error("%s (see %s)", message, self._home.logs / "night.log")
        try:
            with Store.open(self._home.database) as store:
                store.events.add("schedule_failed", message)
                store.counters.bump("schedule_failures")
        except AlignAgentError as error:
            log.error("and this could not be stored: %s", error)


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
    """An APScheduler trigger for five fields, weekdays by name.

    Where day of the month and weekday are both given cron is content with either, APScheduler
    wants both: two triggers in one. Raises ConfigError, MissingDependency.
    """
    triggers = _apscheduler("apscheduler.triggers.cron")
    fields = cron.lower().split()
    if len(fields) != 5:
        raise _bad_cron(cron, f"it has {len(fields)} fields of 5")
    minute, hour, day, month, weekday = fields
    common = {"minute": minute, "hour": hour, "month": month, "timezone": zone}
    try:
        if day == "*" or weekday == "*":
            return triggers.CronTrigger(day=day, day_of_week=weekday, **common)
        either = _apscheduler("apscheduler.triggers.combining")
        return either.OrTrigger(
            [
                triggers.CronTrigger(day=day, **common),
                triggers.CronTrigger(day_of_week=weekday, **common),
            ]
        )
    except ValueError as error:
        raise _bad_cron(cron, str(error)) from error


def _bad_cron(cron: str, why: str) -> ConfigError:
    return ConfigError(
        f"schedule.cron {cron!r} cannot be read: {why}",
        hint='five fields: minute, hour, day, month, weekday; "0 3 * * *" is every night at 3',
    )
