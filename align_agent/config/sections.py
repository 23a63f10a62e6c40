"""The fields of config.yaml: default, help and limits of each, in one place. Reads no file."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from align_agent.config.distill import DistillConfig
from align_agent.config.learning import LearnConfig
from align_agent.config.options import option, option_of
from align_agent.config.times import cron_complaint, window_complaint
from align_agent.config.urls import origins_complaint, url_complaint

Rule = str | dict[str, Any]

_MAX_TEXT = 8000
_MAX_RULE = 400


def _some_text(value: str) -> str:
    return "" if value.strip() else "must not be empty"


def _persona(value: str) -> str:
    return "" if len(value) <= _MAX_TEXT else f"must have at most {_MAX_TEXT} characters"


def _device(value: str) -> str:
    head, _, index = value.partition(":")
    if head in ("auto", "cpu", "mps") and not index:
        return ""
    if head == "cuda" and (index.isdigit() or ":" not in value):
        return ""
    return "must be auto, cpu, mps, cuda, or cuda:N for the card number N"


def _rules(value: tuple[Rule, ...]) -> str:
    for rule in value:
        text = rule if isinstance(rule, str) else str(rule["text"])
        if not text.strip():
            return "holds an empty rule"
        if len(text) > _MAX_RULE:
            return f"holds a rule of {len(text)} characters; at most {_MAX_RULE} are allowed"
    return ""


def _pinned(value: tuple[Rule, ...]) -> str:
    for prompt in value:
        if isinstance(prompt, str) or not prompt.get("check") or not str(prompt["text"]).strip():
            return "needs a `text` and a `check` for each prompt"
    return ""


def _filled(value: tuple[str, ...]) -> str:
    return "" if all(text.strip() for text in value) else "holds an empty text"


def _variable(value: str) -> str:
    # Not shown in the complaint's own words: it may be the key itself.
    fine = not value or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value)
    return "" if fine else "must be the name of an environment variable, not the key itself"


def _always(value: bool) -> str:
    return "" if value else "cannot be turned off: keys and passwords are never stored"


@dataclass(frozen=True)
class ModelConfig:
    """The model that answers, and how it samples."""

    base: str = option(
        "pocket",
        'The base model: "pocket" (the small one that comes along), a folder, or a hub name.',
        check=_some_text,
    )
    device: str = option("auto", "Where it runs: auto, cpu, mps, cuda or cuda:N.", check=_device)
    dtype: str = option(
        "auto",
        "Number format of the weights. auto: float32 on a CPU, bfloat16 on a GPU. nf4: linear "
        "layers in 4 bits, for a large model on a small GPU (pip install 'align-agent[nf4]').",
        choices=("auto", "float32", "bfloat16", "float16", "nf4"),
    )
    threads: int = option(0, "CPU threads; 0 uses all cores.", low=0, high=1024)
    temperature: float = option(
        0.7, "Spread of the sampling; 0 always takes the likeliest token.", low=0, high=5
    )
    top_p: float = option(
        1.0, "Sample from the likeliest tokens that hold this share.", low=0.01, high=1
    )
    max_new_tokens: int = option(256, "Longest answer, in tokens.", low=1, high=131072)
    seed: int = option(0, "Seed of the sampling.", low=0, high=2**32)


@dataclass(frozen=True)
class PreferencesConfig:
    """What the user declares about themselves."""

    persona: str = option(
        "",
        "Who the agent is and whom it talks to: the start of its system prompt.",
        check=_persona,
    )
    style: str = option(
        "", "How answers sound: warm, neutral, or any words of yours.", check=_persona
    )
    length: str = option(
        "",
        "How long they are: brief, steps, at most N sentences, at most N words, or words of yours.",
        check=_persona,
    )
    language: str = option("", "In which language, such as German or de.", check=_persona)
    formatting: str = option("", "plain, markdown, or any words of yours.", check=_persona)
    do: tuple[str, ...] = option((), "What to do, one wish each.", check=_rules)
    dont: tuple[str, ...] = option((), "What never to do, one wish each.", check=_rules)
    rules: tuple[Rule, ...] = option(
        (),
        "Your rules. Each is a text, or a mapping with `text`, and if wanted `check` (the name of "
        "a check, or a mapping with its `name` and numbers) and `scope`: channel:NAME (patterns "
        "with * are allowed), or words of a topic, parted by commas. For example: "
        '["Keep answers short.", {text: "No emoji.", check: no_emoji, scope: "channel:mail"}]',
        kind="rules",
        check=_rules,
    )
    in_prompt: bool = option(
        True,
        "Show all of these to the model in its system prompt, besides learning them. Nights learn "
        "them as if they did not stand there, so that they can be taken out later.",
    )
    at_the_door: bool = option(
        False, "With in_prompt: also in the prompts of other programs that ask over HTTP."
    )


@dataclass(frozen=True)
class CaptureConfig:
    """The record of the conversations."""

    enabled: bool = option(True, "Record conversations. Without it nothing can be learned.")
    queue_size: int = option(
        5000,
        "Turns that may wait for the disk; more are dropped, and counted.",
        low=1,
        high=1_000_000,
    )


@dataclass(frozen=True)
class FeedbackConfig:
    """How the user's messages are read as feedback."""

    gap_threshold: float = option(
        0.03,
        "A follow-up that moves the model by more than this (nats a token) counts as a correction.",
        low=0,
        high=100,
    )
    threshold: float = option(
        0.28, "A message counts as a complaint from this calibrated score on.", low=0.01, high=1
    )
    min_confidence: float = option(
        0.6, "Feedback read with less confidence is kept, but not trained on.", low=0, high=1
    )
    judge: bool = option(
        False,
        "At night, also ask the model outright what it makes of unclear messages. For models that "
        "are able to judge; a small one only guesses.",
    )
    half_life_days: float = option(
        90,
        "A proposed rule counts half after so many days; one that has faded is given up.",
        low=1,
        high=10_000,
    )
    auto_accept: bool = option(
        True, "Rules that are clear become active at once; false proposes them for your yes."
    )
    owners: tuple[str, ...] = option(
        (),
        "Whose words count in shared conversations: ids of senders, such as telegram:777; patterns "
        "with * and ? are allowed. Empty: everybody's in a conversation of one, nobody's in a "
        "conversation of several.",
        check=_filled,
    )
    max_rules_a_day: int = option(
        10, "Rules learned within a day; more wait for your yes.", low=1, high=10_000
    )
    max_reversals_a_day: int = option(
        3, "Rules that newer ones may end within a day; more wait for your yes.", low=0, high=10_000
    )


@dataclass(frozen=True)
class ScheduleConfig:
    """When a night may run."""

    enabled: bool = option(True, "Learn by itself at the times below.")
    cron: str = option(
        "0 3 * * *",
        "When a night is due: minute hour day month weekday (weekdays by name: mon-fri).",
        check=cron_complaint,
    )
    window: str = option(
        "01:00-07:00",
        "Only between these times, local time. Equal ends mean all day.",
        check=window_complaint,
    )
    idle_minutes: int = option(
        20, "Only when nothing was said for so many minutes.", low=0, high=10080
    )
    catch_up: bool = option(True, "Run a missed night as soon as the window and idleness allow.")


@dataclass(frozen=True)
class GateConfig:
    """What a candidate must show before it may serve."""

    mode: str = option(
        "auto",
        "auto: a candidate that passes serves at once. review: it waits for your yes.",
        choices=("auto", "review"),
    )
    max_correctness_loss: float = option(
        0.02,
        "Most correctness it may lose against the base with your rules in its prompt. It decides "
        "when the whole interval lies beyond it: 7 of 100 probes that only the candidate fails.",
        low=0,
        high=1,
    )
    min_gain: float = option(
        0.0, "Least gain on the turns kept aside; it must gain in any case.", low=0, high=1
    )
    probes: int = option(100, "Ability questions asked.", low=1, high=100_000)
    pinned: tuple[Rule, ...] = option(
        (),
        "Your own prompts, each with what you expect of the answer: `text`, and `check` as for a "
        'rule. For example: [{text: "What is 12 times 12?", check: {name: contains, text: "144"}}]',
        kind="rules",
        check=_pinned,
    )
    canaries: tuple[str, ...] = option(
        (), "Texts that no answer may hold, such as one you planted in a chat.", check=_filled
    )
    max_length_ratio: float = option(
        4.0,
        "Answers may become longer or shorter by this factor than those of the base with your "
        "rules in its prompt, with which all of the following compares.",
        low=1.01,
        high=1000,
    )
    min_distinct: float = option(0.5, "Least share of its variety of word pairs.", low=0, high=1)
    max_similarity: float = option(
        0.25, "Most words more that answers to different questions have in common.", low=0, high=1
    )
    max_repetition: float = option(
        0.15, "Most phrases more that an answer has repeated.", low=0, high=1
    )
    max_unfinished: float = option(
        0.1, "Most answers more that come to no end by themselves.", low=0, high=1
    )
    max_entropy: float = option(
        1.0, "Most entropy more in the choice of a word, in nats a token.", low=0, high=100
    )
    doubted: int = option(
        28, "Right answers that are doubted, to see whether it gives in. 0: none.", low=0, high=1000
    )
    max_giving_in: float = option(
        0.1, "Most right answers more that it may give up when doubted.", low=0, high=1
    )
    max_miscalibration: float = option(
        0.1, "Most that its Brier score may rise: how far sure and right lie apart.", low=0, high=1
    )
    max_kl: float = option(3.0, "Farthest it may go from the base, in nats a token.", low=0)
    samples: int = option(8, "Before and after pairs kept for the morning.", low=0, high=1000)


@dataclass(frozen=True)
class AdaptersConfig:
    """The versions of what was learned."""

    keep: int = option(
        10, "Versions kept on disk, besides those in use and those pinned.", low=1, high=100_000
    )


@dataclass(frozen=True)
class PrivacyConfig:
    """What is never stored."""

    redact_secrets: bool = option(
        True, "Keys, tokens and passwords are replaced before anything is stored.", check=_always
    )
    redact_personal: bool = option(
        True,
        "Also e-mail, IP and street addresses, phone, card, bank account and national ID numbers.",
    )
    ignore: tuple[str, ...] = option(
        (),
        "What is not recorded, not in later prompts either: patterns with * and ?. channel:NAME, "
        "sender:ID, topic:WORDS (parted by commas); without such a word the whole channel or the "
        'whole message. For example ["channel:work*", "topic:therapy, diagnosis", "*off the '
        'record*"].',
        check=_filled,
    )
    keep_days: int = option(
        0,
        "Texts older than this are dropped each night; what was learned from them stays. 0: never.",
        low=0,
        high=100_000,
    )
    keep_mb: int = option(
        0,
        "A database larger than this loses its oldest texts each night. 0: never.",
        low=0,
        high=10_000_000,
    )


@dataclass(frozen=True)
class AgentConfig:
    """The agent that `align-agent chat` talks to."""

    tools: tuple[str, ...] = option(("calculator", "clock"), "Tools it may call.", check=_filled)
    workspace: str = option(
        "",
        "A folder in which it may read_file, edit_file and run_tests, and nowhere else; empty: "
        "it has no file tools. `align-agent chat --workspace` sets it for one chat.",
    )
    approve: tuple[str, ...] = option(
        ("edit_file", "run_tests"),
        "Tools of which each call waits for your yes, your no with a reason, or other arguments.",
        check=_filled,
    )
    test_command: str = option(
        "",
        "The shell command of run_tests, run in the sandbox on a copy of the workspace's text "
        "files; empty: Python's unittest.",
    )
    skills: tuple[str, ...] = option(("skills",), "Folders with skills.", check=_filled)
    skills_in_prompt: str = option(
        "auto",
        "List the skills in the system prompt. auto: not on a context under 8,000 tokens.",
        choices=("auto", "always", "never"),
    )
    max_steps: int = option(6, "Most model calls for one message.", low=1, high=100)


@dataclass(frozen=True)
class ServerConfig:
    """The HTTP door."""

    host: str = option("127.0.0.1", "Address it listens on.", check=_some_text)
    port: int = option(8377, "Port it listens on.", low=1, high=65535)
    token: str = option(
        "",
        "Secret that every client must send. Needed for any address but this machine's own.",
        secret=True,
    )
    allowed_hosts: tuple[str, ...] = option(
        (), "Further names by which clients may call this server, besides localhost."
    )
    allowed_origins: tuple[str, ...] = option(
        (),
        "Web pages of other addresses that may ask it, for example http://localhost:3000. A page's "
        "port counts.",
        check=origins_complaint,
    )
    timeout_seconds: float = option(300.0, "Longest time for one answer.", low=1, high=86_400)
    max_body_mb: int = option(16, "Largest request, in MB.", low=1, high=1024)
    max_batch: int = option(32, "Most answers written at the same time.", low=1, high=1024)
    trim: str = option(
        "auto",
        "What happens to a request that is longer than the context. never: it is refused, so that "
        "the client shortens it. always: the oldest exchanges are left out, then the client's own "
        "instructions. auto: so only for OpenClaw, when those instructions alone are too long.",
        choices=("auto", "always", "never"),
    )
    prefix_cache_mb: int = option(
        512, "Memory for what earlier turns computed, in MB. 0: none.", low=0, high=1_000_000
    )


@dataclass(frozen=True)
class UpstreamConfig:
    """Another model server that answers behind our door, in place of our own engine."""

    base_url: str = option(
        "",
        "Where it listens, for example http://127.0.0.1:8000/v1. Empty: our own engine answers.",
        check=url_complaint,
    )
    kind: str = option(
        "openai",
        "How a promoted version reaches it. vllm, sglang: loaded while it runs. llamacpp: chosen "
        "among those it was started with. openai (Ollama, LM Studio, any other): not at all, the "
        "base answers.",
        choices=("openai", "vllm", "sglang", "llamacpp"),
    )
    model: str = option("", "The base model's name there. Empty: the first that it lists.")
    api_key_env: str = option(
        "", "The environment variable that holds its key, if it wants one.", check=_variable
    )
    adapters: str = option(
        "",
        "The folder of the versions as it sees it, if it has other paths than we (a container).",
    )
    loaded: int = option(
        2, "Most versions that are loaded there at the same time (vllm, sglang).", low=1, high=1000
    )
    reuse_prompts: bool = option(
        False,
        "llamacpp with adapters: earlier turns need not be computed again. Only right when it was "
        "started with --cache-ram 0: its memory does not tell adapters apart.",
    )


@dataclass(frozen=True)
class Config:
    """All of config.yaml, checked. Build it with `load_config`; `Config()` is the defaults."""

    model: ModelConfig = field(default_factory=ModelConfig)
    preferences: PreferencesConfig = field(default_factory=PreferencesConfig)
    capture: CaptureConfig = field(default_factory=CaptureConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    adapters: AdaptersConfig = field(default_factory=AdaptersConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    upstream: UpstreamConfig = field(default_factory=UpstreamConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers, ready for JSON; without secrets, for a record."""
        return {name: _plain(name, section) for name, section in asdict(self).items()}


# The settings whose values are nobody's to see, such as `server.token`.
SECRETS = frozenset(
    f"{name}.{item.name}"
    for name, section in vars(Config()).items()
    for item in fields(section)
    if option_of(item).secret
)


def _plain(name: str, section: dict[str, Any]) -> dict[str, Any]:
    shown = {k: v for k, v in section.items() if f"{name}.{k}" not in SECRETS}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in shown.items()}
