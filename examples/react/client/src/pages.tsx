import { useState } from "react";

import { type Page } from "./App";
import { reset, session } from "./api";
import { Field, Form, Screen } from "./form";

type Props = { go(page: Page, words?: string): void; say(words: string): void };

export function Ask({ go, say, again }: Props & { again?: boolean }) {
  return (
    <Screen heading={again ? "Ask for a new link" : "Forgot your password?"}>
      <Form
        button="Send a link"
        send={async ({ email }) => {
          const { data, error } = await reset.POST("/request-password-reset", { body: { email } });
          if (data) go({ name: "sent", email }, data.message);
          else say(error.detail); // of a limit, for example, with the time until it ends
        }}
      >
        <Field label="Email address" name="email" type="email" autoComplete="email" />
      </Form>
      <a href="#/log-in">Log in</a>
    </Screen>
  );
}

export function Sent({ go, say, email }: Props & { email: string }) {
  return (
    <Screen heading="Check your email">
      <p>Open the link in it, or type its code here.</p>
      <Form
        button="Continue"
        send={async ({ code }) => {
          const { data, error } = await reset.POST("/verify-reset-code", { body: { email, code } });
          if (data) go({ name: "choose", token: data.token });
          else say(error.detail);
        }}
      >
        <Field label="Code" name="code" autoComplete="one-time-code" autoCapitalize="characters" spellCheck={false} />
      </Form>
      <a href="#/ask">Ask again</a>
    </Screen>
  );
}

export function Choose({ go, say, token }: Props & { token: string }) {
  const [errors, setErrors] = useState<string[]>([]);
  const [shown, setShown] = useState(false);
  return (
    <Screen heading="Choose a new password">
      <Form
        button="Save"
        send={async ({ password }) => {
          const { data, error } = await reset.POST("/reset-password", { body: { token, password } });
          setErrors(error?.code === "weak_password" ? error.errors : []);
          if (data) go({ name: "log-in" }, data.message);
          else if (error.code.startsWith("token_")) go({ name: "ask", again: true }, error.detail);
          else say(error.detail);
        }}
      >
        <Field
          label="New password"
          name="password"
          type={shown ? "text" : "password"}
          autoComplete="new-password"
          errors={errors}
        />
        <label>
          <input type="checkbox" onChange={(event) => setShown(event.target.checked)} /> Show it
        </label>
      </Form>
    </Screen>
  );
}

export function LogIn({ go, say }: Props) {
  return (
    <Screen heading="Log in">
      <Form
        button="Log in"
        send={async (fields) => {
          const { username, detail, non_field_errors } = await session("POST", fields);
          if (username) go({ name: "hello", username });
          else say(detail ?? non_field_errors?.join(" ") ?? "Please try again.");
        }}
      >
        <Field label="User name" name="username" autoComplete="username" />
        <Field label="Password" name="password" type="password" autoComplete="current-password" />
      </Form>
      <a href="#/ask">Forgot your password?</a>
    </Screen>
  );
}

export function Hello({ go, say, username }: Props & { username: string }) {
  return (
    <Screen heading={`Hello ${username}`}>
      <Form
        button="Log out"
        send={async () => {
          const { detail } = await session("DELETE");
          if (detail) say(detail);
          else go({ name: "log-in" }, "You are logged out.");
        }}
      />
    </Screen>
  );
}
