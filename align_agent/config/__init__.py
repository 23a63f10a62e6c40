"""The configuration: config.yaml in, one frozen `Config` out. Knows nothing of what uses it.

Every field has one home, `sections.py` or `distill.py`: its default, its help and its limits. The
example file and the error messages are made from there.
"""

from align_agent.config.distill import DistillConfig
from align_agent.config.example import example_yaml
from align_agent.config.learning import LearnConfig
from align_agent.config.load import effective, load_config, load_with_lines
from align_agent.config.sections import (
    SECRETS,
    AdaptersConfig,
    AgentConfig,
    CaptureConfig,
    Config,
    FeedbackConfig,
    GateConfig,
    ModelConfig,
    PreferencesConfig,
    PrivacyConfig,
    ScheduleConfig,
    ServerConfig,
    UpstreamConfig,
)
from align_agent.config.times import parse_window

__all__ = [
    "SECRETS",
    "AdaptersConfig",
    "AgentConfig",
    "CaptureConfig",
    "Config",
    "DistillConfig",
    "FeedbackConfig",
    "GateConfig",
    "LearnConfig",
    "ModelConfig",
    "PreferencesConfig",
    "PrivacyConfig",
    "ScheduleConfig",
    "ServerConfig",
    "UpstreamConfig",
    "effective",
    "example_yaml",
    "load_config",
    "load_with_lines",
    "parse_window",
]
