"use strict";
// Sends the forms of the browsable API as JSON. Reading the API needs no script.
(() => {
  const body = document.body;
  const { site, prefix, mode } = body.dataset;
  const byID = (id) => document.getElementById(id);

  // Messages and marks that outlast the page. A browser may keep none.
  const keep = (name, value) => { try { sessionStorage.setItem(name, value); } catch { /* kept nowhere */ } };
  const take = (name) => {
    try {
      const value = sessionStorage.getItem(name);
      sessionStorage.removeItem(name);
      return value;
    } catch { return null; }
  };
  const say = (text) => { byID("status").textContent = text; };
  // The same page again is no reload, which would keep its place.
  const go = (path, message) => {
    keep("dueto.said", message);
    if (path) location.assign(path); else location.replace(location.pathname + location.search);
  };

  const cookie = (name) => {
    const pair = document.cookie.split("; ").find((p) => p.startsWith(name + "="));
    return pair ? pair.slice(name.length + 1) : "";
  };

  // --- Requests

  async function ask(method, url, json, headers = {}) {
    const options = { method, credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json", ...headers } };
    const csrf = cookie("csrftoken");
    if (csrf) options.headers["X-CSRFToken"] = csrf;
    if (json !== undefined) {
      options.headers["Content-Type"] = "application/json";
      options.body = json;
    }
    const response = await fetch(url, options);
    const text = await response.text();
    let value = null;
    try { value = JSON.parse(text); } catch { /* no JSON: there is nothing to show */ }
    return { response, value };
  }

  const refresh = () => ask("POST", prefix + "/auth/refresh");

  const sentence = ({ response, value }) => value?.detail ?? `The server answered ${response.status} ${response.statusText}.`;
  const later = ({ response }) => {
    const seconds = Number(response.headers.get("Retry-After"));
    return "Try again " + (seconds > 0 ? `in ${seconds} ${seconds === 1 ? "second" : "seconds"}.` : "later.");
  };

  // An access cookie that has expired is refreshed, once, and the request sent
  // again. A refresh that is put off says nothing of the session.
  async function send(...request) {
    const answer = await ask(...request);
    const codes = ["token_expired", "token_not_valid"];
    if (answer.response.status !== 401 || !cookie("csrftoken") || !codes.includes(answer.value?.code)) return answer;
    const refreshed = await refresh();
    if (refreshed.response.ok) return ask(...request);
    return refreshed.response.status === 401 ? answer : refreshed;
  }

  // --- Values

  const isNull = (field) => Boolean(byID(field.id + "-null")?.checked);
  const wasNull = (field) => Boolean(byID(field.id + "-null")?.defaultChecked);
  const initial = (field) => field.tagName === "SELECT"
    ? [...field.options].find((o) => o.defaultSelected)?.value ?? "" : field.defaultValue;
  const isChanged = (field) => field.value !== initial(field) || isNull(field) !== wasNull(field) || Boolean(field.validity?.badInput);

  // toJSON gives what a field says as JSON, or undefined where it says nothing. What
  // is no number is sent as a text, for the server to say what is wrong with it.
  function toJSON(field) {
    const { kind, was } = field.dataset;
    if (isNull(field)) return "null";
    if (field.validity?.badInput) return JSON.stringify("not a number");
    const { value } = field;
    const integer = (text) => /^-?(0|[1-9]\d*)$/.test(text) ? text : JSON.stringify(text);
    const lines = () => value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    if (value === "" && !was) return undefined;
    switch (kind) {
      case "texts": return JSON.stringify(lines());
      case "integers": return "[" + lines().map(integer).join(",") + "]";
      case "text": return JSON.stringify(value);
      case "boolean": return value === "" ? undefined : value;
    }
    if (value === "" && byID(field.id + "-null")) return "null";
    if (value === "") return field.form.dataset.method === "PUT" ? undefined : '""'; // PUT gives what is left out its default
    switch (kind) {
      case "integer": return integer(value.trim());
      case "json": try { JSON.parse(value); return value; } catch { return JSON.stringify(value); }
      default: return JSON.stringify(value.trim());
    }
  }

  const fieldsOf = (form) => [...form.querySelectorAll("[data-kind]")];

  function bodyOf(form) {
    if (!("json" in form.dataset)) return undefined;
    const members = [];
    for (const field of fieldsOf(form)) {
      if ("query" in field.dataset) continue;
      const same = field.dataset.was && !isChanged(field);
      if (same && form.dataset.method === "PATCH") continue;
      const json = same ? field.dataset.was : toJSON(field); // what is as it came goes back as it came
      if (json !== undefined) members.push(JSON.stringify(field.name) + ":" + json);
    }
    if (form.id === "form-sign-in") members.push('"mode":' + JSON.stringify(mode));
    if (members.length === 0 && form.dataset.method === "DELETE") return undefined;
    return "{" + members.join(",") + "}";
  }

  function urlOf(form) {
    const query = new URLSearchParams();
    for (const field of fieldsOf(form)) {
      if ("query" in field.dataset && field.value !== "") query.set(field.name, field.value);
    }
    return form.getAttribute("action") + (query.toString() === "" ? "" : "?" + query);
  }

  // --- What went wrong

  const make = (tag, text = "", attributes = {}) => {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  function clear(form) {
    byID(form.id + "-summary").replaceChildren();
    for (const field of fieldsOf(form)) {
      field.removeAttribute("aria-invalid");
      const error = byID(field.id + "-error");
      error.textContent = "";
      error.hidden = true;
    }
  }

  // complain says what went wrong, and at which fields; more is what may be done.
  function complain(form, text, errors = {}, more = null) {
    const summary = byID(form.id + "-summary");
    const list = make("ul");
    let first = null;
    const left = new Map(Object.entries(errors));
    for (const field of fieldsOf(form)) {
      const texts = left.get(field.name);
      if (!texts) continue;
      left.delete(field.name);
      first ??= field;
      field.setAttribute("aria-invalid", "true");
      const error = byID(field.id + "-error");
      error.textContent = texts.join(" ");
      error.hidden = false;
      const label = form.querySelector(`label[for="${field.id}"]`).firstChild.textContent.trim();
      const item = make("li");
      item.append(make("a", label + ": " + texts.join(" "), { href: "#" + field.id }));
      list.append(item);
    }
    for (const [name, texts] of left) list.append(make("li", name + ": " + texts.join(" ")));
    summary.replaceChildren(make("p", text));
    if (list.children.length > 0) summary.append(list);
    if (more) summary.append(more);
    (first ?? summary).focus();
  }

  function reloader(form) {
    const button = make("button", "Load it again", { type: "button", class: "quiet", id: form.id + "-reload" });
    button.addEventListener("click", () => location.reload());
    return button;
  }

  // entrance leads to where one signs in, beside the page with what was typed.
  function entrance(form) {
    const place = make("p");
    const link = make("a", "Sign in again in a new tab", { href: prefix + "/auth/login", target: "_blank", rel: "noopener", id: form.id + "-entrance" });
    place.append(link, ", and send this once more: what you typed stays here.");
    return place;
  }

  function refuse(form, answer) {
    const { response, value } = answer;
    if (response.status === 412) {
      complain(form, "This was changed meanwhile, and nothing was done. Load it again to see how it is now; what you put in here is lost then.", {}, reloader(form));
    } else if (response.status === 401 && !("open" in form.dataset)) {
      complain(form, sentence(answer), {}, entrance(form));
    } else {
      complain(form, sentence(answer), value?.errors);
    }
  }

  // --- What went well

  // local gives a URL below the public one as a path, by the rule of the server's
  // links.
  const local = (url) => {
    if (url === site) return prefix + "/";
    const rest = url.startsWith(site) ? url.slice(site.length) : "";
    return /^\/(?!\/)[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/.test(rest) ? prefix + rest : "";
  };

  // show writes JSON with links to what is ours.
  function show(form, { response, value }) {
    byID("result-heading").textContent = `HTTP ${response.status} ${response.statusText}`;
    const place = byID("result-location");
    const location = local(response.headers.get("Location") ?? "");
    place.hidden = location === "";
    if (location) {
      place.firstElementChild.href = location;
      place.firstElementChild.textContent = response.headers.get("Location");
    }
    const code = byID("result-body");
    code.replaceChildren();
    code.parentElement.hidden = value === null;
    for (const part of JSON.stringify(value, null, 2).split(/("(?:[^"\\]|\\.)*")/)) {
      const href = part.startsWith('"') ? local(JSON.parse(part)) : "";
      code.append(href ? make("a", part, { href }) : part);
    }
    form.reset();
    const result = byID("result");
    result.hidden = false;
    result.focus();
  }

  function succeed(form, answer) {
    const { response } = answer;
    const { method, next } = form.dataset;
    if (form.id === "form-sign-in") return go(next, "You are signed in.");
    if (form.getAttribute("action").replace(/\/$/, "") === prefix + "/auth/logout") {
      return go(prefix + "/", cookie("csrftoken") ? "The session has ended." : "You are signed out.");
    }
    if ("show" in form.dataset) return show(form, answer);
    const done = { POST: "Made.", PUT: "Replaced.", PATCH: "Changed.", DELETE: "Deleted." }[method];
    return go(method === "POST" ? local(response.headers.get("Location") ?? "") : next, `${response.status} ${response.statusText}: ${done}`.replace(" :", ":"));
  }

  async function submit(event) {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("[type=submit]");
    if (form.getAttribute("aria-busy") === "true") return;
    clear(form);
    say("");
    form.setAttribute("aria-busy", "true");
    button.disabled = true;
    try {
      const { method, etag } = form.dataset;
      const headers = etag ? { "If-Match": etag } : {};
      const request = [method, urlOf(form), bodyOf(form), headers];
      const answer = "open" in form.dataset ? await ask(...request) : await send(...request);
      button.disabled = false;
      if (answer.response.ok) succeed(form, answer); else refuse(form, answer);
    } catch {
      button.disabled = false;
      complain(form, "The server could not be reached. Try again.");
    }
    form.removeAttribute("aria-busy");
  }

  // --- The session

  async function signOut() {
    try {
      const answer = await ask("POST", prefix + "/auth/logout");
      if (answer.response.ok || answer.response.status === 401) return go(prefix + "/", "You are signed out.");
      say(sentence(answer) + " You are still signed in.");
    } catch { say("The server could not be reached. You are still signed in."); }
  }

  // The page was refused for its cookies: they are refreshed or, where that is
  // refused too, taken away, and the page loaded once more. A server that cannot
  // refresh them now may later.
  async function mend() {
    if (!("refused" in body.dataset)) return void take("dueto.mended");
    if (!cookie("csrftoken") || take("dueto.mended")) return;
    say("Your session is being refreshed.");
    try {
      const answer = await refresh();
      if (!answer.response.ok && answer.response.status !== 401) return say("Your session could not be refreshed. " + later(answer));
      keep("dueto.mended", "once");
      if (answer.response.ok) return location.reload();
      await ask("POST", prefix + "/auth/logout");
      if (!cookie("csrftoken")) return go("", "Your session has ended. Sign in again.");
      say("Your session has ended. Sign in again.");
    } catch { say("The server could not be reached. Load the page again."); }
  }

  // --- The page

  async function copy(event) {
    const button = event.currentTarget;
    const source = byID(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      say("Copied.");
    } catch { // without https there is no clipboard
      getSelection().selectAllChildren(source);
      say("The line is selected: copy it with Ctrl+C.");
    }
  }

  const each = (selector, visit) => document.querySelectorAll(selector).forEach(visit);
  const said = take("dueto.said");
  if (said) {
    say(said);
    byID("status").focus();
    byID("status").scrollIntoView({ block: "nearest" });
  }
  each("form[data-method]", (form) => {
    form.addEventListener("submit", submit);
    form.querySelector("[type=submit]").disabled = false;
  });
  each("#form-filter", (form) => {
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
    });
    form.querySelector("[type=submit]").disabled = false;
  });
  each("[data-null-of]", (box) => {
    byID(box.dataset.nullOf).addEventListener("input", () => { box.checked = false; });
  });
  each("[data-copy]", (button) => {
    button.hidden = false;
    button.addEventListener("click", copy);
  });
  each("[data-dialog]", (button) => {
    const dialog = byID(button.dataset.dialog);
    button.disabled = false;
    button.addEventListener("click", () => dialog.showModal());
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  });
  const out = byID("sign-out");
  if (out) {
    out.disabled = false;
    out.addEventListener("click", signOut);
  }
  mend();
})();
