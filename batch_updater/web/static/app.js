// What makes the pages more comfortable; each of them works without it.
//
//   <time datetime="...Z">                     shown in the viewer's zone
//   [data-focus]                               focused when the page opens, or after htmx has swapped it in
//   form[data-upload] with an input type=file  sent as soon as a file is chosen or dropped, with its progress in the
//                                              <progress> inside, and its errors in the form's [data-error]
//   textarea[data-preview="#id"]               the first pasted rows, as a table within #id
//   [data-events="/address"]                   each server-sent event replaces the content; the event `end` loads the
//                                              page again
//   [data-rows]                                its rows are forms: see "rows that are corrected"
"use strict";
(() => {
  const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  function prepare(root) {
    const all = (selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
    for (const time of all("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.valueOf())) {
        time.title = time.textContent;
        time.textContent = localTime.format(at);
      }
    }
    all("form[data-upload]").forEach(prepareUpload);
    all("textarea[data-preview]").forEach(preparePreview);
    all("[data-events]").forEach(follow);
    const named = root === document && document.getElementById(window.location.hash.slice(1));
    const part = named && named.matches("[tabindex='-1']") && named;
    const first = document.querySelector("[role=alert][data-focus], [aria-invalid=true][data-focus]");
    if (part && !first) part.focus(); // the part of the page that its address names
    else all("[data-focus]").at(-1)?.focus({ preventScroll: root === document });
  }

  // What could not be done, in a row that is corrected beside what was typed there, which stays.
  function tell(text, origin) {
    const notice = document.createElement("div");
    notice.className = "notice error";
    notice.setAttribute("role", "alert");
    notice.append(Object.assign(document.createElement("p"), { textContent: text }));
    const form = origin?.closest?.("[data-rows] td form");
    if (!form) return document.getElementById("toast").replaceChildren(notice);
    form.querySelector(":scope > .notice")?.remove();
    form.prepend(notice);
  }

  // --- uploads ---

  function prepareUpload(form) {
    const input = form.querySelector("input[type=file]");
    const zone = form.querySelector(".drop") ?? form;
    const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    input.addEventListener("change", () => input.files.length && send(form));
    for (const name of ["dragenter", "dragover"]) {
      document.addEventListener(name, (event) => {
        if (isFile(event)) {
          event.preventDefault(); // dropped beside the zone, a file would take the place of the page
          zone.classList.add("over");
        }
      });
    }
    document.addEventListener("dragleave", (event) => event.relatedTarget || zone.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      if (isFile(event)) {
        event.preventDefault();
        zone.classList.remove("over");
        input.files = event.dataTransfer.files;
        if (input.files.length) send(form);
      }
    });
    form.addEventListener("submit", (event) => {
      if (input.files.length) {
        event.preventDefault();
        send(form);
      }
    });
  }

  function send(form) {
    if (form.dataset.sending) return;
    form.dataset.sending = "yes";
    const progress = form.querySelector("progress");
    const request = new XMLHttpRequest();
    const fail = (text) => {
      delete form.dataset.sending;
      form.querySelector("input[type=file]").value = "";
      if (progress) progress.hidden = true;
      const place = form.querySelector("[data-error]");
      if (place) {
        place.textContent = text;
        place.hidden = false;
      } else tell(text);
    };
    request.upload.addEventListener("progress", (event) => {
      if (!progress || !event.lengthComputable) return;
      progress.hidden = false;
      progress.max = event.total;
      progress.value = event.loaded;
    });
    request.addEventListener("load", () => {
      if (request.status < 400) return window.location.assign(request.responseURL);
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      fail(page.querySelector("[role=alert] p")?.textContent ?? "The file could not be sent.");
    });
    request.addEventListener("error", () => fail("The connection was interrupted. Send the file again."));
    request.open("POST", form.action);
    request.send(new FormData(form));
  }

  // --- what was pasted ---

  // As `text/clipboard.py` reads it: only a cell with a line break is in quotes.
  const pastedCell = /(?:"((?:[^"\n\t]|"")*\n(?:[^"\t]|"")*)"(?=[\t\n]|$)|([^\t\n]*))([\t\n]|$)/g;

  function preparePreview(area) {
    const place = document.querySelector(area.dataset.preview);
    area.addEventListener("input", () => {
      const text = area.value.slice(0, 100000).replace(/\n$/, "");
      if (!text.trim()) return place.replaceChildren();
      const rows = [[]];
      for (const [, lines, plain, end] of text.matchAll(pastedCell)) {
        rows.at(-1).push(lines === undefined ? plain : lines.replaceAll('""', '"'));
        if (!end) break;
        if (end === "\n") rows.push([]);
      }
      const table = document.createElement("table");
      rows.slice(0, 6).forEach((cells, index) => {
        const row = (index ? table.tBodies[0] ?? table.createTBody() : table.createTHead()).insertRow();
        for (const cell of cells.slice(0, 20)) {
          row.append(Object.assign(document.createElement(index ? "td" : "th"), { textContent: cell.slice(0, 120) }));
        }
      });
      const more = area.value.length > text.length + 1 ? " and more" : "";
      const count = Object.assign(document.createElement("p"), {
        className: "quiet",
        textContent: `Rows below the headers: ${(rows.length - 1).toLocaleString()}${more}`,
      });
      const scroll = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", "Pasted rows");
      scroll.append(table);
      place.replaceChildren(scroll, count);
    });
  }

  // --- what goes on ---

  function follow(place) {
    const source = new EventSource(place.dataset.events);
    source.addEventListener("message", (event) => {
      if (!place.isConnected) return source.close(); // htmx has swapped it out
      place.innerHTML = event.data;
      for (const child of place.children) prepare(child);
      window.htmx?.process(place);
    });
    source.addEventListener("end", () => {
      source.close();
      window.location.reload();
    });
    window.addEventListener("pagehide", () => source.close());
  }

  // --- rows that are corrected: each input of a row sends the row when it is changed ---

  let pressed = null;
  let typing = null;
  let left = null; // what had the focus when nothing was left to correct
  const isField = (element) => element?.matches?.("input:not([type=hidden]), textarea") && element.closest("[data-rows]");

  // A press on a button of the row, or Enter, sends what was typed: the row must not be swapped under the pointer.
  document.addEventListener("pointerdown", (event) => (pressed = event.target.closest?.("[data-rows] button")), true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches?.("[data-rows] td input")) pressed = event.target.form.querySelector("button");
  });
  document.addEventListener("submit", () => (pressed = null), true);
  document.addEventListener(
    "change",
    (event) => {
      if (pressed?.form && pressed.form === event.target.form) {
        event.stopPropagation();
        pressed.changed = event.target;
      }
    },
    true,
  );
  document.addEventListener("pointerup", (event) => {
    const button = pressed;
    pressed = null;
    if (button?.changed && !button.contains(event.target))
      button.changed.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // What is being typed while an answer arrives stays.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const field = document.activeElement;
    const isSwapped = isField(field) && field.id && event.detail.target.contains(field);
    typing = isSwapped ? { id: field.id, value: field.value } : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const { target, requestConfig } = event.detail;
    if (event.target.id === "repaired" && left && [left, document.body].includes(document.activeElement)) goOn();
    if (!target || event.target.id !== target.id || !event.target.closest("[data-rows]")) return; // another part
    const field = typing && document.getElementById(typing.id);
    if (field) field.value = typing.value;
    if (requestConfig.triggeringEvent?.type === "submit") moveOn(event.target);
  }); // not before: until then the new row has the attributes of the old one

  // Enter, or a button: on to the next faulty cell of the row, else to that of a row below, to the next rows, to a row
  // above; and where nothing is left to correct, to the button that goes on.
  function moveOn(place) {
    const faulty = (row) =>
      row.querySelector("[aria-invalid=true]") ?? (row.matches(".wrong") && row.querySelector("td :is(input:not([type=hidden]), select, textarea)"));
    const firstOf = (rows) => [...rows].map(faulty).find(Boolean);
    const next =
      firstOf(place.matches("tr") ? [place, ...after(place)] : place.querySelectorAll("tr")) ??
      document.querySelector("[data-rows] [rel=next]") ??
      firstOf(document.querySelectorAll("[data-rows] tr"));
    left = next ? null : document.activeElement;
    if (!next) goOn();
    else if (next !== document.activeElement) {
      next.focus();
      if (next.select && next.value) next.select();
    }
  }
  function goOn() {
    (document.querySelector("#next .primary, #repaired .primary:enabled") ?? document.querySelector("h1")).focus();
  }
  function* after(row) {
    while ((row = row.nextElementSibling)) yield row;
  }

  document.addEventListener("htmx:load", (event) => event.detail.elt !== document.body && prepare(event.detail.elt));
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status < 400) return;
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    const origin = event.detail.requestConfig.elt;
    tell(page.querySelector("[role=alert] p")?.textContent ?? "That did not work.", origin);
    if (xhr.status === 403) renewTokens(origin);
  });
  document.addEventListener("htmx:sendError", (event) => {
    tell("The server cannot be reached. Nothing was changed.", event.detail.requestConfig.elt);
    isUnreachable = true;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful || (event.detail.requestConfig.verb === "get" && !isUnreachable)) return;
    isUnreachable = false;
    document.getElementById("toast").replaceChildren();
  });
  let isUnreachable = false;

  // A person who has signed in again meanwhile, in another tab, continues here: what was typed is not lost with the page.
  async function renewTokens(origin) {
    const answer = await fetch(window.location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("input[name=token]")?.value;
    const tokens = [...document.querySelectorAll("input[name=token]")].filter((token) => now && token.value !== now);
    for (const token of tokens) token.value = now;
    if (tokens.length) tell("You have signed in again since this page was opened. What you typed is still here: save it once more.", origin);
  }
  prepare(document);
})();
