// Plots what Prometheus knows. Every element with data-panel is filled; no library is needed.
"use strict";

(function () {
  var SVG = "http://www.w3.org/2000/svg";
  var WIDTH = 360, HEIGHT = 150, LEFT = 52, BOTTOM = 22, TOP = 8, RIGHT = 8;
  var POINTS = 120;
  var DASHES = ["", "6 3", "2 3", "8 3 2 3"];

  function draw(name, attributes, parent) {
    var element = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { element.setAttribute(key, attributes[key]); });
    parent.appendChild(element);
    return element;
  }

  function add(name, text, parent, style) {
    var element = document.createElement(name);
    if (text) { element.textContent = text; }
    if (style) { element.className = style; }
    parent.appendChild(element);
    return element;
  }

  function rounded(value) {
    if (value === 0) { return "0"; }
    var size = Math.abs(value);
    if (size >= 100) { return value.toFixed(0); }
    return String(Number(value.toPrecision(size >= 1 ? 3 : 2)));
  }

  function scaled(value, steps, factor, unit) {
    var index = 0;
    while (Math.abs(value) >= factor && index < steps.length - 1) { value /= factor; index += 1; }
    return rounded(value) + steps[index] + unit;
  }

  function shown(value, unit) {
    if (!isFinite(value)) { return "–"; }
    if (unit === "ratio") { return rounded(value * 100) + " %"; }
    if (unit === "bytes" || unit === "bytes/s") {
      return scaled(value, [" ", " Ki", " Mi", " Gi", " Ti"], 1024, unit === "bytes" ? "B" : "B/s");
    }
    if (unit === "seconds") { return value !== 0 && Math.abs(value) < 1 ? rounded(value * 1000) + " ms" : rounded(value) + " s"; }
    if (unit === "requests/s") { return rounded(value) + " /s"; }
    return scaled(value, ["", " k", " M"], 1000, "");
  }

  // The largest of 1, 2, 2.5, 5, and 10 times a power of ten that is enough.
  function ceiling(value) {
    if (!(value > 0)) { return 1; }
    var power = Math.pow(10, Math.floor(Math.log10(value)));
    var steps = [1, 2, 2.5, 5, 10].filter(function (step) { return step * power >= value; });
    return steps[0] * power;
  }

  function clock(seconds, span) {
    var date = new Date(seconds * 1000);
    var options = span > 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" };
    return new Intl.DateTimeFormat(undefined, options).format(date);
  }

  function ask(api, query, range) {
    var words = new URLSearchParams({ query: query.expr, start: range.start, end: range.end, step: range.step });
    // The origin alone: an address with an account in it is refused.
    return fetch(location.origin + api + "query_range?" + words, { credentials: "same-origin" }).then(function (answer) {
      if (!answer.ok) { throw new Error("Prometheus answers " + answer.status); }
      return answer.json();
    }).then(function (document) {
      return document.data.result.map(function (found) {
        var points = found.values.map(function (pair) { return [pair[0], Number(pair[1])]; });
        return { name: found.metric[query.by] || query.legend, points: points };
      });
    });
  }

  function scale(series, range, unit) {
    var values = [].concat.apply([], series.map(function (one) {
      return one.points.map(function (point) { return point[1]; }).filter(isFinite);
    }));
    var most = values.reduce(function (a, b) { return Math.max(a, b); }, 0);
    var least = values.reduce(function (a, b) { return Math.min(a, b); }, 0);
    var top = unit === "ratio" && most > 0.5 && most <= 1 ? 1 : ceiling(most);
    var bottom = least < 0 ? -ceiling(-least) : 0;
    return {
      top: top,
      bottom: bottom,
      x: function (time) { return LEFT + (time - range.start) / (range.end - range.start) * (WIDTH - LEFT - RIGHT); },
      y: function (value) { return TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM); }
    };
  }

  function axes(svg, place, range, unit) {
    [place.bottom, (place.top + place.bottom) / 2, place.top].forEach(function (value) {
      draw("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: place.y(value), y2: place.y(value), "class": "grid" }, svg);
      var label = draw("text", { x: LEFT - 6, y: place.y(value) + 4, "text-anchor": "end" }, svg);
      label.textContent = shown(value, unit);
    });
    [0, 2, 4].forEach(function (part) {
      var time = range.start + (range.end - range.start) * part / 4;
      var anchor = part === 0 ? "start" : part === 4 ? "end" : "middle";
      var label = draw("text", { x: place.x(time), y: HEIGHT - 6, "text-anchor": anchor }, svg);
      label.textContent = clock(time, range.end - range.start);
    });
  }

  function line(svg, one, index, place, step) {
    var path = "", last = null;
    one.points.forEach(function (point) {
      if (!isFinite(point[1])) { last = null; return; }
      var begins = last === null || point[0] - last > step * 2;
      path += (begins ? "M" : "L") + place.x(point[0]).toFixed(1) + " " + place.y(point[1]).toFixed(1);
      last = point[0];
    });
    if (path) {
      draw("path", { d: path, "class": "line series-" + index % 8, "stroke-dasharray": DASHES[Math.floor(index / 8) % 4] }, svg);
    }
  }

  function legend(figure, series, unit) {
    var list = add("ul", "", figure, "legend");
    series.forEach(function (one, index) {
      var last = one.points.length ? one.points[one.points.length - 1][1] : NaN;
      var item = add("li", "", list);
      add("span", "", item, "swatch series-" + index % 8).setAttribute("aria-hidden", "true");
      add("span", one.name, item, "name");
      add("b", shown(last, unit), item);
    });
  }

  function plot(figure, panel, series, range) {
    var body = figure.querySelector(".plot");
    body.textContent = "";
    if (!series.some(function (one) { return one.points.length > 0; })) {
      add("p", "Nothing was measured in this time.", body, "empty");
      return;
    }
    var svg = draw("svg", { viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img", "aria-label": panel.title }, body);
    var place = scale(series, range, panel.unit);
    axes(svg, place, range, panel.unit);
    series.forEach(function (one, index) { line(svg, one, index, place, range.step); });
    legend(body, series, panel.unit);
  }

  function fill(figure, api, hours) {
    var panel = JSON.parse(figure.dataset.panel);
    var end = Math.floor(Date.now() / 1000), span = hours * 3600;
    var range = { start: end - span, end: end, step: Math.max(15, Math.round(span / POINTS)) };
    return Promise.all(panel.queries.map(function (query) { return ask(api, query, range); })).then(function (parts) {
      plot(figure, panel, [].concat.apply([], parts), range);
    }).catch(function (error) {
      var body = figure.querySelector(".plot");
      body.textContent = "";
      add("p", "This plot is not there: " + error.message, body, "empty");
    });
  }

  function fillAll() {
    var api = document.body.dataset.api, select = document.getElementById("hours");
    var hours = select ? Number(select.value) : 6;
    document.querySelectorAll("[data-panel]").forEach(function (figure) { fill(figure, api, hours); });
  }

  document.addEventListener("DOMContentLoaded", function () {
    var select = document.getElementById("hours");
    if (select) { select.addEventListener("change", fillAll); }
    fillAll();
    setInterval(fillAll, 60000);
  });
})();
