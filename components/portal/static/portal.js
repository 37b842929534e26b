// Live parts of the portal: how the services are, and which alerts are active.
"use strict";

(function () {
  var EVERY_MS = 15000;

  // The origin alone: an address with an account in it is refused.
  function ask(path) {
    return fetch(location.origin + path, { credentials: "same-origin" }).then(function (answer) {
      if (!answer.ok) { throw new Error("answers " + answer.status); }
      return answer.json();
    });
  }

  function say(element, text, style) {
    if (element.textContent !== text) { element.textContent = text; }
    element.className = style;
  }

  function showHealth(found) {
    var down = found.services.filter(function (service) { return !service.healthy; });
    found.services.forEach(function (service) {
      var cell = document.getElementById("health-" + service.name);
      if (!cell) { return; }
      say(cell, service.healthy ? "✓ healthy" : "✗ down", "state " + (service.healthy ? "good" : "bad"));
      cell.title = service.detail;
    });
    var summary = document.getElementById("summary");
    if (down.length === 0) {
      say(summary, "✓ All " + found.services.length + " services are healthy.", "good");
    } else {
      var names = down.map(function (service) { return service.name; }).join(", ");
      say(summary, "✗ Down: " + names + ".", "bad");
    }
  }

  function item(alert) {
    var entry = document.createElement("li");
    var silenced = alert.status.silencedBy.length > 0;
    var severity = document.createElement("b");
    severity.textContent = alert.labels.severity;
    severity.className = alert.labels.severity === "critical" ? "bad" : "unsure";
    entry.append(severity, " " + alert.labels.alertname + ": " + (alert.annotations.summary || "") + " ");
    if (/^https?:/.test(alert.annotations.runbook_url || "")) {
      var link = document.createElement("a");
      link.href = "/prometheus/consoles/runbooks.html#" + alert.labels.alertname.toLowerCase();
      link.textContent = "what to do";
      entry.append(link);
    }
    if (silenced) { entry.append(" (somebody has it in hand)"); }
    return entry;
  }

  function showAlerts(alerts) {
    var list = document.getElementById("alerts"), none = document.getElementById("no-alerts");
    list.replaceChildren.apply(list, alerts.map(item));
    none.textContent = alerts.length === 0 ? "✓ No alert is active." : "";
    none.className = "good";
  }

  function update() {
    ask("/portal/health.json").then(showHealth).catch(function (error) {
      say(document.getElementById("summary"), "? The services' health is not known: " + error.message, "unsure");
    });
    ask("/alertmanager/api/v2/alerts?active=true").then(showAlerts).catch(function (error) {
      say(document.getElementById("no-alerts"), "? Alerts are not known: " + error.message, "unsure");
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    update();
    setInterval(update, EVERY_MS);
  });
})();
