from pare_bench import SelectorSpec, SuiteSpec, TaskSpec, hookimpl


@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="tones", summary="pitch of a noisy tone, 4 classes", target="pare_bench_template.tones:Tones", modality="sequence")


@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="template", summary="the template's own task", tasks=("tones",))


@hookimpl
def pare_bench_selectors():
    yield SelectorSpec(name="largest_norm", summary="keeps the longest tokens", target="pare_bench_template.largest_norm:LargestNorm")
