import createClient from "openapi-fetch";

import type { paths } from "./openapi"; // of the app's openapi.yaml, by `npm run types`

/** The app's JSON. Each `error` has `code` and `detail`, also where no answer came from it. */
export const reset = createClient<paths>({ baseUrl: "/api/auth" });
reset.use({ onError: down, onResponse: ({ response }) => json(response) });

/** The site's own log-in and log-out, with the CSRF token that Django wants. */
export async function session(method: "GET" | "POST" | "DELETE", fields?: object) {
  const [, token = ""] = document.cookie.match(/\bcsrftoken=(\w+)/) ?? [];
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  const response = await fetch("/api/session", { method, headers, body: JSON.stringify(fields) }).then(json, down);
  return response.json() as Promise<{ username?: string; detail?: string; non_field_errors?: string[] }>;
}

function down() {
  const detail = "The shop does not answer. Try again later.";
  return Response.json({ code: "unavailable", detail }, { status: 503 });
}

function json(response: Response) {
  return response.headers.get("Content-Type")?.includes("json") ? response : down(); // of a proxy
}
