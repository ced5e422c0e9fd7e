"""`sloburn sampling`: policies of SLOs, and what has none. The real Collector runs them in tests/stack."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sloburn.cli import main
from sloburn.rules.ottl import ottl
from sloburn.rules.refusals import CannotCompile
from sloburn.slo.conditions import AllOf, AnyOf, Condition, Match, Not, Op, Scalar, Source

ROOT = Path(__file__).parent.parent.parent
COLLECTOR = ROOT / "otel-collector.yaml"
SLOS = """
version: sloburn/v1
slos:
  - {{name: pay, service: shop, objective: 99, period: 7d, indicator: {pay}}}
  - {{name: jobs, service: shop, objective: 99, period: 7d, indicator: {{metric: jobs, bad: {{ok: false}}}}}}
  - {{name: slices, service: shop, objective: 99, period: 7d, slices: {{length: 1m, target: 90%}},
     indicator: {{spans: {{}}, bad: {{status: error}}}}}}
"""
USUAL = "{spans: {}, bad: {http.route: {regex: '/a$'}}}"


def match(source: Source, op: Op, *operands: Scalar, key: str = "") -> Match:
    """Return a comparison."""
    return Match(source=source, key=key, op=op, operands=operands)


def on_k(op: Op, *operands: Scalar) -> Match:
    """Return a comparison of the attribute k."""
    return match(Source.ATTRIBUTE, op, *operands, key="k")


K, OF_RESOURCE = 'span.attributes["k"]', 'resource.attributes["k"]'


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (match(Source.DURATION, Op.GT, 7), "(span.end_time_unix_nano - span.start_time_unix_nano) > 7"),
        (match(Source.KIND, Op.EQ, "server"), "span.kind == SPAN_KIND_SERVER"),
        (
            match(Source.STATUS, Op.IN, "ok", "unset"),
            "span.status.code == STATUS_CODE_OK or span.status.code == STATUS_CODE_UNSET",
        ),
        (on_k(Op.EQ, *(True,)), f"{K} == true or ({K} == nil and ({OF_RESOURCE} == true))"),
        (on_k(Op.LT, 1e-7), f"{K} < 0.0000001 or ({K} == nil and ({OF_RESOURCE} < 0.0000001))"),
        (on_k(Op.GTE, 1e20), f"{K} >= {10**20}.0 or ({K} == nil and ({OF_RESOURCE} >= {10**20}.0))"),
        (match(Source.NAME, Op.EQ, 'a"\\ž'), r'span.name == "a\"\\ž"'),
        (
            match(Source.NAME, Op.REGEX, r"\d[\w.]+"),
            r'(IsString(span.name) and IsMatch(span.name, "\\A(?:[\\p{Nd}][\\p{L}\\p{N}_.]+)\\z"))',
        ),
        (Not(AllOf()), "not (true)"),
        (AnyOf(), "false"),
    ],
)
def test_conditions_become_ottl(condition: Condition, expected: str) -> None:
    """Each comparison has one text; numbers have no exponent, and patterns keep Python's idea of letters and digits."""
    assert ottl(condition) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (match(Source.NAME, Op.REGEX, "(?=a)"), "neither looks around"),
        (match(Source.NAME, Op.REGEX, r"[^\W]"), "no counterpart in RE2 beyond ASCII"),
        (on_k(Op.EQ, 2**63), "64 bits"),
    ],
)
def test_what_ottl_cannot_say_is_refused(condition: Condition, message: str) -> None:
    """Nothing is sampled by a condition that means something else."""
    with pytest.raises(CannotCompile, match=message):
        ottl(condition)


def compile_to(folder: Path, *flags: str, pay: str = USUAL, collector: Path = COLLECTOR) -> int:
    """Run the command over three SLOs."""
    (folder / "slos.yaml").write_text(SLOS.format(pay=pay))
    return main(["sampling", str(folder / "slos.yaml"), "--collector", str(collector), *flags])


def test_part_holds_both_kinds_of_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One policy for each SLO of spans, in slices too, before the configuration's own; a metric's SLO is named."""
    assert compile_to(tmp_path) == 0
    said = capsys.readouterr()
    policies = yaml.safe_load(said.out)["processors"]["tail_sampling"]["policies"]
    own = yaml.safe_load(COLLECTOR.read_text())["processors"]["tail_sampling"]["policies"]

    assert [policy["name"] for policy in policies[:2]] == ["slo-pay", "slo-slices"]
    assert policies[2:] == own
    assert said.err == "jobs: no span is bad to it, so no trace breaks it\n"


def test_dollar_signs_are_no_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the Collector would take for a reference to its environment is written twice."""
    assert compile_to(tmp_path) == 0

    assert "/a$$)" in capsys.readouterr().out


def test_refused_slos_stop_it_or_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --partial nothing is written; with it, the file says what is not in it."""
    pay, output = "{spans: {where: {name: {regex: '(?!a)b'}}}, bad: {status: error}}", tmp_path / "sampling.yaml"

    assert compile_to(tmp_path, "-o", str(output), pay=pay) == 1
    assert "nothing written: 1 SLO refused" in capsys.readouterr().err
    assert not output.exists()
    assert compile_to(tmp_path, "-o", str(output), "--partial", pay=pay) == 0
    assert "# Not in here: pay: the pattern '(?!a)b' has '(?!a': RE2 neither looks around" in output.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "cannot be read"),
        ("processors: {}", "found 0 tail_sampling processors; expected one"),
        ("processors: {tail_sampling: {policies: {}}}", "policies: expected a list of policies with names"),
    ],
)
def test_wrong_configuration_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    """The file, the place and the expectation are told."""
    file = tmp_path / "collector.yaml"
    file.write_text(text)

    assert compile_to(tmp_path, collector=file) == 1
    assert f"--collector {file}: " in (said := capsys.readouterr().err)
    assert message in said


def test_dropping_policy_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A drop wins over every other policy in the Collector, so who has one is told."""
    file = tmp_path / "collector.yaml"
    file.write_text("processors: {tail_sampling: {policies: [{name: probes, type: drop, drop: {}}]}}")

    assert compile_to(tmp_path, collector=file) == 0
    assert "probes: this policy drops traces whatever others say" in capsys.readouterr().err


def test_generated_part_is_no_ground_for_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that are taken are refused: the Collector would not start."""
    output = tmp_path / "sampling.yaml"
    assert compile_to(tmp_path, "-o", str(output)) == 0

    assert compile_to(tmp_path, collector=output) == 1
    assert "has a policy slo-pay already" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path and the reason are told."""
    assert compile_to(tmp_path, "-o", str(tmp_path)) == 1
    assert f"--output {tmp_path}: cannot be written: Is a directory" in capsys.readouterr().err
