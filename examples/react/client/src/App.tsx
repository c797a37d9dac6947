import { useEffect, useState } from "react";

import { reset, session } from "./api";
import { Ask, Choose, Hello, LogIn, Sent } from "./pages";

/** Where somebody is, and what only that page knows. The token is kept nowhere else. */
export type Page =
  | { name: "log-in" }
  | { name: "ask"; again?: boolean }
  | { name: "sent"; email: string }
  | { name: "choose"; token: string }
  | { name: "hello"; username: string };

export function App() {
  const [page, setPage] = useState<Page>();
  const [words, say] = useState("");

  /** Show another page, which the button “back” leaves again. */
  function go(next: Page, said = "") {
    history.pushState(null, "", `#/${next.name}`);
    setPage(next);
    say(said);
  }

  async function open() {
    const [name, query] = location.hash.slice(2).split("?");
    const token = new URLSearchParams(query).get("token");
    say("");
    if (name === "choose" && token) return openLink(token);
    if (name === "ask") return setPage({ name });
    const { username } = await session("GET");
    setPage(username ? { name: "hello", username } : { name: "log-in" });
  }

  async function openLink(token: string) {
    history.replaceState(null, "", "#/choose"); // out of the address bar and the history
    // Showing the form spends nothing: mail scanners open links, too.
    const { error } = await reset.POST("/verify-reset-token", { body: { token } });
    const dead = error?.code.startsWith("token_"); // else a limit, or the site is down
    setPage(dead ? { name: "ask", again: true } : { name: "choose", token });
    say(error?.detail ?? "");
  }

  useEffect(() => {
    void open();
    addEventListener("hashchange", open);
    return () => removeEventListener("hashchange", open);
  }, []);

  return (
    <main>
      <p className="shop">Shop</p>
      <p role="status">{words}</p>
      {page?.name === "log-in" && <LogIn go={go} say={say} />}
      {page?.name === "ask" && <Ask key={String(page.again)} go={go} say={say} again={page.again} />}
      {page?.name === "sent" && <Sent go={go} say={say} email={page.email} />}
      {page?.name === "choose" && <Choose key={page.token} go={go} say={say} token={page.token} />}
      {page?.name === "hello" && <Hello go={go} say={say} username={page.username} />}
    </main>
  );
}
