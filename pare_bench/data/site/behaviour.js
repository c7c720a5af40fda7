"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const root = document.documentElement;
  const stored = (name, value) => {
    try { if (value === undefined) { return localStorage.getItem(name); } localStorage.setItem(name, value); } catch { /* storage is off: the choice lasts as long as the page */ }
    return null;
  };

  // Light and dark: the system's choice until somebody chooses.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = stored("pare-bench-theme");
  if (chosen === "light" || chosen === "dark") { root.dataset.theme = chosen; }
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const name = () => { button.textContent = isDark() ? "Light colours" : "Dark colours"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; stored("pare-bench-theme", root.dataset.theme); name(); });
  dark.addEventListener("change", name);
  name();

  // Sorting: a button in each column head; cells without a value go last, whichever way.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell.hasAttribute("data-value")) { return cell.textContent.trim(); }
    return cell.dataset.value === "" || cell.dataset.value === "None" ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const sort = document.createElement("button");
      sort.type = "button";
      sort.append(...head.childNodes);
      head.append(sort);
      sort.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = Array.from(body.rows, (row) => [value(row, column), row]);
        rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // Filtering by method and division.
  const filter = document.getElementById("filter");
  const division = document.getElementById("division");
  const found = document.getElementById("found");
  const apply = () => {
    const wanted = filter.value.trim().toLowerCase();
    const names = new Set();
    for (const element of all("[data-name]")) {
      element.hidden = !element.dataset.name.toLowerCase().includes(wanted);
      if (!element.hidden) { names.add(element.dataset.name); }
    }
    for (const pair of all("[data-pair]")) { pair.hidden = !pair.dataset.pair.toLowerCase().includes(wanted); }
    for (const section of all("section.division")) { section.hidden = division.value !== "" && section.id !== division.value; }
    found.textContent = wanted ? `${names.size} ${names.size === 1 ? "method" : "methods"}` : "";
  };
  filter.addEventListener("input", apply);
  division.addEventListener("change", apply);

  // A link to a run opens what it stands in.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) { return; }
    for (let element = target; element; element = element.parentElement) {
      if (element.tagName === "DETAILS") { element.open = true; }
      if (element.hidden) { filter.value = ""; division.value = ""; apply(); }
    }
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  document.querySelector(".controls").hidden = false;
  reveal();
})();
