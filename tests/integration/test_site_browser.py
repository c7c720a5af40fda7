"""The page as people use it: in Chromium, without network, by mouse and keyboard, with and without JavaScript, on a screen and on a phone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from factories import make_grid, make_record

from pare_bench.comparison.printed import printed_numbers
from pare_bench.records.record import CurveRecord, TrainingRecord
from pare_bench.report.page import known_pictures, page

pytest.importorskip("vl_convert", reason="vl-convert-python is not installed (extra report)")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra browser)")
wait = pytest.importorskip("selenium.webdriver.support.wait", reason="selenium is not installed (extra browser)")

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="no Chromium with its driver: apt-get install chromium chromium-driver"),
]
SCORES = {
    "pare": {"ecg": [0.2, 0.3], "satellite": [0.5, 0.4], "deepsea": [0.3, 0.35]},
    "orca": {"ecg": [0.4, 0.3], "satellite": [0.2, 0.3], "deepsea": [0.31, 0.33]},
    "full_finetune": {"ecg": [0.5, 0.6], "satellite": [0.6, 0.6], "deepsea": [0.4, 0.5]},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    curve = tuple(CurveRecord(epoch=epoch, step=epoch, train_loss=1 / epoch, validation=0.5 / epoch) for epoch in (1, 2, 3))
    training = {"train": TrainingRecord(curve=curve, best_epoch=3, steps=3, stopped="epochs")}
    records = [
        record.model_copy(update={"training": training, "seconds": {"train": 10.0 * len(record.method.name)}, "parameters_trained": 1000})
        for record in make_grid(SCORES)
    ]
    records += [make_record("naive", "ecg", status="failed", reason="</script><script>window.hacked = 1</script>"), make_record(tier="official")]
    path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(page(records, summaries={"ecg": "heartbeats"}, pictures=known_pictures(), printed=printed_numbers()))
    return path


def opened(site: Path, *, width: int = 1280, dark: bool = False, script: bool = True):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    # Whatever asks for the network is sent to a port where nobody listens.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--proxy-server=127.0.0.1:9"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    driver.get(site.as_uri())
    return driver


@pytest.fixture
def browser(site):
    driver = opened(site)
    yield driver
    driver.quit()


def named(driver, css):
    return driver.find_elements("css selector", css)


def ranking(driver):
    return named(driver, "#nas360-generated-clean-cpu table")[0]


def first_column(driver):
    return [head.text for head in ranking(driver).find_elements("css selector", "tbody tr:not([hidden]) > th")]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_nothing_is_wrong_and_nothing_sticks_out(site, width, dark):
    driver = opened(site, width=width, dark=dark)
    try:
        assert driver.get_log("browser") == []
        assert driver.execute_script("return window.hacked") is None
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        ground = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
        ink = driver.execute_script("return getComputedStyle(document.querySelector('svg.chart text')).fill")
        assert ink == ("rgb(231, 234, 238)" if dark else "rgb(27, 31, 36)")
        _assert_accessible(driver)
    finally:
        driver.quit()


def _assert_accessible(driver):
    """Run axe-core, which the package axe-core-python carries."""
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed (extra browser)")
    script = Path(axe.__file__).parent / "axe.min.js"
    for group in named(driver, "details"):
        driver.execute_script("arguments[0].open = true", group)
    driver.execute_script(script.read_text("utf-8"))
    driver.set_script_timeout(120)
    result = driver.execute_async_script("axe.run(document).then(arguments[0])")
    assert len(result["passes"]) > 10
    assert [(each["id"], each["impact"], each["nodes"][0]["html"]) for each in result["violations"]] == []


def test_sorting_by_mouse_and_keyboard(browser):
    buttons = ranking(browser).find_elements("css selector", "thead button")
    assert first_column(browser) == ["orca", "pare", "full_finetune"]
    buttons[1].click()
    buttons[1].click()
    assert first_column(browser) == ["full_finetune", "pare", "orca"]
    assert buttons[1].find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    buttons[0].send_keys("\n")
    assert first_column(browser) == ["full_finetune", "orca", "pare"]
    assert buttons[1].find_element("xpath", "..").get_attribute("aria-sort") is None
    ecg = next(button for button in buttons if button.text.startswith("ecg"))
    ecg.send_keys(" ")
    assert first_column(browser) == ["pare", "orca", "full_finetune"]


def test_filtering_methods_and_divisions(browser):
    browser.find_element("id", "filter").send_keys("OR")
    assert first_column(browser) == ["orca"]
    assert browser.find_element("id", "found").text == "1 method"
    pairs = [row.get_attribute("data-pair") for row in named(browser, "#nas360-generated-clean-cpu [data-pair]:not([hidden])")]
    assert sorted(pairs) == ["orca full_finetune", "orca pare"]
    shown = [element.get_attribute("data-name") for element in named(browser, "details.group:not([hidden])")]
    assert set(shown) == {"orca"}
    browser.find_element("id", "filter").clear()
    browser.find_element("id", "filter").send_keys("x\b")
    assert len(first_column(browser)) == 3
    browser.find_element("css selector", '#division option[value="nas360-official-clean-cpu"]').click()
    assert [section.get_attribute("id") for section in named(browser, "section.division:not([hidden])")] == ["nas360-official-clean-cpu"]


def test_a_link_to_a_run_opens_it_even_from_a_filtered_page(browser):
    link = named(browser, '#nas360-generated-clean-cpu article.task a[href^="#run-"]')[0]
    target = link.get_attribute("href").partition("#")[2]
    browser.find_element("id", "filter").send_keys("nothing")
    browser.execute_script(f"location.hash = '{target}'")
    article = browser.find_element("id", target)
    wait.WebDriverWait(browser, 10).until(lambda _: article.is_displayed())
    assert "pare-bench run" in article.text


def test_colours_by_the_button(browser):
    button = browser.find_element("id", "theme")
    assert button.text == "Dark colours"
    button.click()
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert button.text == "Light colours"


def test_without_javascript_tables_charts_and_runs_are_there(site):
    driver = opened(site, script=False)
    try:
        assert driver.find_element("css selector", ".controls").is_displayed() is False
        assert named(driver, "thead button") == []
        table = driver.find_element("css selector", "#nas360-generated-clean-cpu table")
        assert "full_finetune" in table.text
        assert all(chart.is_displayed() for chart in named(driver, ".task svg.chart"))
        driver.find_element("css selector", "details.group summary").click()
        assert "pare-bench run" in driver.find_element("css selector", "details.group pre").text
    finally:
        driver.quit()
