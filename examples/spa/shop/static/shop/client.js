"use strict";

const message = document.getElementById("message");
let token = ""; // of the link; kept nowhere else

async function call(path, options) {
  const response = await fetch(path, options);
  return { ok: response.ok, ...(await response.json()) };
}

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return call(path, { method: "POST", headers, body: JSON.stringify(body) });
}

function show(id, words = "") {
  for (const form of document.forms) form.hidden = form.id !== id;
  message.textContent = words;
}

async function open() {
  const [page, query] = location.hash.slice(2).split("?");
  if (page !== "choose") return show(page || "log-in");
  token = new URLSearchParams(query).get("token") ?? "";
  history.replaceState(null, "", "#/choose"); // out of the address bar and the history
  const answer = await post("/api/auth/verify-reset-token", { token });
  // Showing the form spends nothing: mail scanners open links, too.
  return answer.ok ? show("choose") : show("ask", `${answer.detail} Ask for a new one.`);
}

const send = {
  async ask({ email }) {
    const answer = await post("/api/auth/request-password-reset", { email });
    message.textContent = answer.ok ? answer.message : answer.detail; // of a limit, for example
  },
  async choose({ password }) {
    const answer = await post("/api/auth/reset-password", { token, password });
    if (answer.ok) return show("log-in", answer.message);
    message.textContent = answer.errors ? answer.errors.join(" ") : answer.detail;
  },
  async "log-in"(fields) {
    const { token: key } = await post("/api/token", fields);
    if (!key) return show("log-in", "User name or password is wrong.");
    const me = await call("/api/me", { headers: { Authorization: `Token ${key}` } });
    show("", `Hello ${me.username}`);
  },
};

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send[form.id](Object.fromEntries(new FormData(form)));
  });
}
addEventListener("hashchange", open);
open();
