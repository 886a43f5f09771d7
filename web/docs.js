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

  const ui = SwaggerUIBundle({
    spec,
    domNode: root,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    queryConfigEnabled: false,
    // Where cookies carry the session, a change needs the proof that is in one of them.
    requestInterceptor: (request) => {
      const csrf = document.cookie.match(/(?:^|; *)csrftoken=([^;]*)/);
      if (csrf && !["GET", "HEAD", "OPTIONS"].includes(request.method.toUpperCase())) {
        request.headers["X-CSRFToken"] = csrf[1];
      }
      return request;
    },
    responseInterceptor: (response) => {
      if (!response.ok || !bearer) return response;
      const called = path(response.url);
      if ((called === base + "/auth/login" || called === base + "/auth/refresh") && response.obj?.access) {
        ui.preauthorizeApiKey(bearer, response.obj.access);
        status.textContent = "Signed in: calls carry the access token, for " + response.obj.expires_in + " seconds.";
      } else if (called === base + "/auth/logout") {
        ui.authActions.logout([bearer]);
        status.textContent = "Signed out: calls are made as nobody.";
      }
      return response;
    },
  });
})();
