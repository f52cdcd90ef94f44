"""Compares the outcomes of the two sides."""

from .common import squeezed


def differences(here, untouched):
    """Return the tests and modules whose outcomes differ, with the two outcomes."""
    found = {}
    not_run = set()
    for name in sorted(set(here.modules) | set(untouched.modules)):
        ours, theirs = here.modules.get(name, "absent"), untouched.modules.get(name, "absent")
        if ours != theirs:
            found[name] = (ours, theirs)
            # Its tests are then missing on one side, which is no difference of its own.
            if "ran" in (ours, theirs):
                not_run.add(name)
    for test in sorted(set(here.tests) | set(untouched.tests)):
        if (here.module_of(test) or untouched.module_of(test)) in not_run:
            continue
        ours, theirs = here.tests.get(test, ["absent"]), untouched.tests.get(test, ["absent"])
        if ours != theirs:
            found[test] = ("; ".join(ours), "; ".join(theirs))
    return found


def judge(run_of, here, untouched, explanations):
    """Sort the differences of a run into explained and unexplained ones."""
    explained, unexplained, needed = [], [], set()
    for test, (ours, theirs) in differences(here, untouched).items():
        entry = {"test": test, "here": ours, "untouched": theirs}
        explanation = explanations.get((run_of.name, test))
        needed.add(test)
        if explanation is None:
            problem = "it is not explained"
        elif (ours, theirs) != (explanation.here, explanation.untouched):
            problem = f"the explanation is about `{explanation.here}` here and `{explanation.untouched}` there"
        elif not all((explanation.evidence or "") in squeezed(text) for text in here.texts.get(test, [""])):
            problem = f"the explanation expects `{explanation.evidence}` in what the failure says"
        else:
            explained.append({**entry, "cause": explanation.cause, "reason": explanation.reason})
            continue
        sides = {"here": here.texts.get(test, []), "untouched": untouched.texts.get(test, [])}
        unexplained.append({**entry, "problem": problem, "said": sides})
    unneeded = [
        {"test": test, "cause": explanation.cause}
        for (name, test), explanation in explanations.items()
        if name == run_of.name and test not in needed
    ]
    return {"explained": explained, "unexplained": unexplained, "unneeded": unneeded}


def counts(results, only=None):
    """Return the number of tests with each outcome."""
    kinds = {"run": 0, "passed": 0, "skipped": 0, "failed": 0, "expected failure": 0, "unexpected success": 0}
    for test, outcomes in results.tests.items():
        if only is None or results.module_of(test) == only:
            for outcome in outcomes:
                kinds[outcome.split(":")[0]] += 1
                kinds["run"] += not outcome.startswith("skipped")
    return kinds


def failed_alike(here, untouched):
    tests = [test for test in here.tests if "failed" in here.tests[test] and "failed" in untouched.tests.get(test, [])]
    modules = [name for name in here.modules if here.modules[name].startswith("failed")]
    return sorted(tests + [name for name in modules if untouched.modules.get(name) == here.modules[name]])


def side_report(results):
    return {
        **counts(results),
        "modules not run": {name: state for name, state in results.modules.items() if state != "ran"},
        "unsteady": sorted(results.unsteady),
    }


def describe(name, report):
    """Return the report of a run as lines of text."""

    def side(title):
        numbers = ", ".join(f"{count} {kind}" for kind, count in report[title].items() if isinstance(count, int))
        return f"{name}: {title:>9}: {numbers}"

    yield side("here")
    yield side("untouched")
    yield f"{name}: {len(report['explained'])} differences are explained"
    for test in report["failed on both sides"]:
        yield f"{name}: fails on both sides: {test}"
    for entry in report["unexplained"]:
        outcomes = f"`{entry['here']}` here, `{entry['untouched']}` there"
        yield f"{name}: DIFFERENCE {entry['test']}: {outcomes}: {entry['problem']}"
        for title, texts in entry["said"].items():
            for text in texts:
                yield f"{name}:   what failed {title} says at its end:"
                yield from (f"{name}:     {line}" for line in text.rstrip().splitlines()[-12:])
    for entry in report["unneeded"]:
        yield f"{name}: NO LONGER there, so remove it from [{entry['cause']}]: {entry['test']}"
