"use strict";

// Starts Swagger UI, which calls the server that the page came from, and
// nothing else.
(async () => {
  const root = document.getElementById("swagger-ui");
  const status = document.getElementById("docs-status");
  const base = root.dataset.base;

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  let spec;
  try {
    const answer = await fetch(base + "/openapi.json", { credentials: "omit" });
    if (!answer.ok) throw new Error("status " + answer.status);
    spec = await answer.json();
  } catch (err) {
    status.textContent = "The description of the API cannot be loaded: " + err.message + ". Load the page again.";
    return;
  }
  // By whatever name the server is reached: the page may call none but its own.
  spec.servers = [{ url: base || "/" }];
  // Cookies are sent by the browser itself, which lets no page set them: nothing
  // is to be put in for those schemes.
  const schemes = Object.entries(spec.components?.securitySchemes ?? {})
    .filter(([, s]) => s.type === "http" || (s.in === "header" && s.name === "Authorization"));
  const names = schemes.map(([name]) => name);
  const put = (list) => list?.filter((needed) => Object.keys(needed).every((name) => names.includes(name)));
  spec.components.securitySchemes = Object.fromEntries(schemes);
  for (const item of [spec, ...Object.values(spec.paths).flatMap(Object.values)]) {
    if (item.security) item.security = put(item.security);
  }
  const bearer = schemes.find(([, s]) => s.type === "http" && s.scheme.toLowerCase() === "bearer")?.[0];
  const path = (url) => new URL(url, location.href).pathname;
  const say = (text) => { status.textContent = text; };
  const csrfToken = () => document.cookie.match(/(?:^|; *)csrftoken=([^;]*)/)?.[1];
  // Swagger UI fails to forget what it was not given.
  const forget = () => { if (ui.authSelectors.authorized()?.has(bearer)) ui.authActions.logout([bearer]); };
  const ended = {
    token_expired: "The access token has expired: sign in again, or execute POST /auth/refresh.",
    token_not_valid: "The access token is not valid any more: sign in again.",
  };
  let refresh = ""; // the token of the last login, where no cookie has it

  const answered = (request, response) => {
    const called = path(response.url);
    const signsIn = called === base + "/auth/login" || called === base + "/auth/refresh";
    if (!response.ok) {
      const why = response.status === 401 && ended[response.obj?.code];
      if (why && /^bearer /i.test(request.headers.Authorization ?? "")) {
        forget();
        say(why);
      }
    } else if (signsIn && response.obj?.access) {
      refresh = response.obj.refresh;
      ui.preauthorizeApiKey(bearer, response.obj.access);
      say("Signed in: calls carry the access token, for " + response.obj.expires_in + " seconds.");
    } else if (signsIn && response.obj?.mode) {
      refresh = "";
      forget(); // beside it no cookie counts
      say("Signed in by cookies.");
    } else if (called === base + "/auth/logout") {
      refresh = "";
      forget();
      say("Signed out: calls are made as nobody.");
    }
    return response;
  };

  const ui = SwaggerUIBundle({
    spec,
    domNode: root,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    queryConfigEnabled: false,
    requestInterceptor: (request) => {
      // Where cookies carry the session, a change needs the proof that is in one of them.
      const csrf = csrfToken();
      if (csrf && !["GET", "HEAD", "OPTIONS"].includes(request.method.toUpperCase())) {
        request.headers["X-CSRFToken"] = csrf;
      }
      // The token of an example, which is cut short, stands for the visitor's own.
      if ([base + "/auth/refresh", base + "/auth/logout"].includes(path(request.url)) && typeof request.body === "string") {
        request.body = request.body.replace(/"refresh":\s*"[\w-]+\.\.\."/, refresh && `"refresh": "${refresh}"`);
      }
      request.responseInterceptor = (response) => answered(request, response);
      return request;
    },
  });
  if (csrfToken()) say("Signed in by cookies.");
})();
