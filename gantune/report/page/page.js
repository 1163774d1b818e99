"use strict";
(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // An element with text or elements in it; text is never read as markup.
  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  const unpack = async (id) => {
    const packed = atob(find(`#${id}`).textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const once = (work) => { let made; return () => (made ??= work()); };
  const pictures = once(() => JSON.parse(find("#pictures")?.textContent || "{}"));
  const details = once(async () => (find("#details") ? JSON.parse(await unpack("details")) : {}));
  const figures = once(async () => JSON.parse(await unpack("figures")));
  const plotly = once(async () => {
    find("head").append(make("script", {}, await unpack("plotly")));
    return window.Plotly;
  });

  // Figures: first those near the screen, then all, as printers and full-page pictures do not
  // scroll. In the colours of the page.
  const settings = { responsive: true, displayModeBar: false, displaylogo: false };
  const paint = () => ({
    "font.color": css("--muted"), "hoverlabel.bgcolor": css("--card"),
    "hoverlabel.bordercolor": css("--line"), "hoverlabel.font.color": css("--text"),
  });
  // Paper is narrower than the screen: there a figure shrinks as a whole.
  const scalable = (place) => {
    const { width, height } = place._fullLayout;
    place.style.setProperty("--ratio", `${width} / ${height}`);
    for (const svg of all("svg.main-svg", place)) svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  };
  // A canvas does not shrink with its figure: paper gets a picture of it.
  const photograph = async (Plotly, place) => {
    if (!find("canvas", place)) return;
    const { width, height } = place._fullLayout;
    const picture = await Plotly.toImage(place, { format: "png", width, height, scale: 2 });
    place.append(make("img", { class: "paper", src: picture, alt: "" }));
    place.classList.add("has-paper");
  };
  const draw = async (place) => {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "begun";
    const [Plotly, known] = await Promise.all([plotly(), figures()]);
    const { data, layout } = known[place.dataset.figure];
    if (innerWidth < 560) layout.font = { ...layout.font, size: 12 };
    await Plotly.newPlot(place, data, layout, settings);
    place.on("plotly_afterplot", () => scalable(place));
    await Plotly.relayout(place, paint());
    scalable(place);
    await photograph(Plotly, place);
    place.dataset.drawn = "done";
    place.on("plotly_click", (event) => open(event.points[0]?.customdata));
  };
  const pause = () => new Promise((go) => { setTimeout(go, 0); });
  const drawAll = async () => {
    for (const place of all("[data-figure]")) {
      await draw(place).catch(failed(place));
      await pause();
    }
    document.body.dataset.drawn = "all";
  };
  const near = (work) => new IntersectionObserver((entries, watch) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watch.unobserve(entry.target);
      work(entry.target);
    }
  }, { rootMargin: "400px" });
  const failed = (place) => (error) => {
    place.textContent = `This figure could not be drawn: ${error.message}. A browser of 2023 or later is needed.`;
    place.dataset.drawn = "failed";
  };
  const drawing = near((place) => draw(place).catch(failed(place)));
  all("[data-figure]").forEach((place) => drawing.observe(place));
  if (document.readyState === "complete") drawAll(); else addEventListener("load", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const place of all("[data-drawn=done], dialog .plot.js-plotly-plot")) {
      window.Plotly.relayout(place, paint());
    }
  });

  // Pictures
  const source = (picture) => `data:image/webp;base64,${picture}`;
  const show = (image) => {
    const found = pictures()[image.dataset.picture];
    if (found?.length && !image.src) image.src = source(found.at(-1)[1]);
  };
  const showing = near(show);
  for (const image of all("img[data-picture]")) {
    if (image.closest("details")) showing.observe(image); else show(image);
  }

  // One run, with its evidence
  const dialog = find("#run");
  const film = (found) => {
    if (!found?.length) return null;
    const image = make("img", { alt: "samples" });
    const caption = make("figcaption", {});
    const slider = make("input", {
      type: "range", min: 0, max: found.length - 1, value: found.length - 1,
      "aria-label": "samples along the training",
    });
    const show = () => {
      const [kimg, picture] = found[slider.value];
      image.src = source(picture);
      caption.textContent = `samples at ${kimg} kimg`;
    };
    slider.addEventListener("input", show);
    show();
    return make("figure", { class: "film" }, image, found.length > 1 ? slider : null, caption);
  };
  const listed = (pairs) => {
    const list = make("dl", {});
    for (const [name, text] of pairs) list.append(make("dt", {}, name), make("dd", {}, text));
    return list;
  };
  const copied = async (button, text) => {
    await navigator.clipboard?.writeText(text);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1200);
  };
  const block = (title, text) => {
    const button = make("button", { type: "button", class: "trial" }, "copy");
    button.addEventListener("click", () => copied(button, text));
    return make("details", { class: "whole" }, make("summary", {}, title), button, make("pre", {}, text));
  };
  const command = (text) => make("div", { class: "command whole" }, make("code", {}, text),
    make("button", { type: "button", class: "copy", "data-copy": text }, "copy"));
  const line = (name, x, y, colour, shape = {}) => ({
    type: "scatter", mode: "lines", x, y, name, line: { color: colour, width: 1.6 },
    hovertemplate: `%{y:.4g} at %{x:.4g} kimg<extra>${name.replace(/[<&]/g, "")}</extra>`, ...shape,
  });
  const curves = async (place, run) => {
    const colours = ["#3b8eea", "#d9822b", "#2f9e5f", "#9a6dd7"];
    const data = run.signals.map(([name, values], k) =>
      line(name.replace(/[<&]/g, ""), run.kimg, values, colours[k % 4]));
    if (run.scores.length) {
      const [x, y] = [0, 1].map((k) => run.scores.map((point) => point[k]));
      data.push(line("score", x, y, css("--muted"), { mode: "lines+markers", yaxis: "y2" }));
    }
    if (!data.length) return;
    const axis = { gridcolor: "rgba(128,136,145,0.22)", zeroline: false, automargin: true };
    const stop = run.stop ? [{
      type: "line", x0: run.stop[1], x1: run.stop[1], yref: "paper", y0: 0, y1: 1,
      line: { color: "#d64545", dash: "dash", width: 1.5 },
    }] : [];
    const isSplit = run.scores.length > 0 && run.signals.length > 0;
    const values = run.scores.map((point) => point[1]);
    const isWide = Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
    const layout = {
      height: isSplit ? 380 : 260, margin: { l: 8, r: 8, t: 8, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { size: 12 },
      shapes: stop, hovermode: "closest", showlegend: true,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      xaxis: { ...axis, title: { text: "kimg" }, rangemode: "tozero" },
      yaxis: { ...axis, domain: [0, isSplit ? 0.58 : 1] },
      yaxis2: { ...axis, domain: [isSplit ? 0.66 : 0, 1], type: isWide ? "log" : "linear", nticks: 5 },
    };
    const Plotly = await plotly();
    if (!place.isConnected) return;
    await Plotly.newPlot(place, data, layout, settings);
    await Plotly.relayout(place, paint());
  };
  const order = () => {
    const rows = all("#trials-table tbody tr:not([hidden])").map((row) => row.dataset.trial);
    return rows.length ? rows : [];
  };
  let opened = null;
  const step = (by) => {
    const names = order();
    const next = names[(names.indexOf(opened) + by + names.length) % names.length];
    if (next) open(next);
  };
  const open = async (name) => {
    const run = name && (await details())[name];
    if (!run) return;
    opened = name;
    const top = make("div", { class: "top" },
      make("h2", { id: "run-title", tabindex: -1, autofocus: "" }, run.title),
      make("span", { class: `badge ${run.ending}` }, run.words));
    for (const [text, label, act] of [
      ["←", "previous trial", () => step(-1)], ["→", "next trial", () => step(1)],
      ["close", "close", () => dialog.close()],
    ]) {
      const button = make("button", { type: "button", "aria-label": label }, text);
      button.addEventListener("click", act);
      top.append(button);
    }
    const plot = make("div", { class: "plot" });
    const left = make("div", {}, film(pictures()[name]), listed(run.facts));
    const right = make("div", {}, plot, make("h3", {}, "Settings"), listed(run.params));
    const body = make("div", { class: "body" },
      ...run.lines.map((text) => make("p", { class: `why whole ${run.ending}` }, text)),
      run.command ? command(run.command) : null, left, right,
      run.error ? make("div", { class: "whole" }, make("h3", {}, "Error"), make("pre", {}, run.error)) : null,
      run.config ? block("the whole config", run.config) : null,
      make("p", { class: "note whole" }, run.folder));
    dialog.replaceChildren(top, body);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    curves(plot, run).catch(() => {});
  };
  dialog?.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  addEventListener("keydown", (event) => {
    if (!dialog?.open || event.target.matches("input")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) { copied(copy, copy.dataset.copy); return; }
    const hit = event.target.closest("[data-trial]");
    if (hit && !dialog.contains(hit)) open(hit.dataset.trial);
  });

  // A table that is wider than its place says so.
  const measure = (place) => {
    const left = place.scrollWidth - place.clientWidth - place.scrollLeft;
    place.classList.toggle("more", left > 4);
    if (place.previousElementSibling?.matches(".hint")) {
      place.previousElementSibling.hidden = place.scrollWidth <= place.clientWidth + 4;
    }
  };
  const tables = all(".scroll").filter((place) => find("table", place));
  for (const place of tables) {
    place.before(make("p", { class: "hint", hidden: "" }, "Scroll sideways for more columns →"));
    place.addEventListener("scroll", () => measure(place), { passive: true });
    measure(place);
  }
  addEventListener("resize", () => tables.forEach(measure));

  // The table of trials
  const table = find("#trials-table");
  const key = (row, column) => {
    const cell = row.cells[column];
    return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim();
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  };
  const isNothing = (value) => value === "-" || value === "";
  const sort = (column, isDown) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([one], [other]) => {
      if (isNothing(one) || isNothing(other)) return isNothing(one) - isNothing(other);
      return isDown ? compare(other, one) : compare(one, other);
    });
    body.append(...rows.map(([, row]) => row));
    all("th", table).forEach((head) => head.removeAttribute("aria-sort"));
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", isDown ? "descending" : "ascending");
  };
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const filter = () => {
    const words = find("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(all(".chip[aria-pressed=false]").map((chip) => chip.dataset.ending));
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const isHidden = off.has(row.dataset.ending)
        || !words.every((word) => textOf(row).includes(word));
      if (row.hidden !== isHidden) row.hidden = isHidden;
      shown += !isHidden;
    }
    const whole = table.tBodies[0].rows.length;
    const count = shown === whole ? `${whole}` : `${shown} of ${whole}`;
    find("#shown").textContent = `${count} trial${whole === 1 ? "" : "s"}`;
  };
  if (table) {
    all("th button", table).forEach((button, column) => button.addEventListener("click", () => {
      sort(column, button.parentElement.getAttribute("aria-sort") === "ascending");
    }));
    find("#filter").addEventListener("input", filter);
    all(".chip").forEach((chip) => chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") !== "true");
      filter();
    }));
  }

  // A search that runs rewrites this page: look again, unless somebody is reading closely.
  const wait = Number(document.body.dataset.reload);
  if (wait) {
    setInterval(() => {
      const busy = dialog.open || find("#filter")?.value || document.hidden;
      if (!busy) location.reload();
    }, 1000 * wait);
  }
})();
