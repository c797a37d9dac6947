import { type ComponentProps, type ReactNode, useEffect, useId, useRef, useState } from "react";

/** A page: its heading gets the focus, so that people who do not see it hear that it is another. */
export function Screen({ heading, children }: { heading: string; children: ReactNode }) {
  const top = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${heading} – Shop`;
    top.current?.focus();
  }, [heading]);
  return (
    <>
      <h1 ref={top} tabIndex={-1}>
        {heading}
      </h1>
      {children}
    </>
  );
}

type FormProps = { send(fields: Record<string, string>): Promise<void>; button: string; children?: ReactNode };

/** A form that is not sent again before the answer to the last time is there. */
export function Form({ send, button, children }: FormProps) {
  const [busy, setBusy] = useState(false);
  return (
    <form
      onSubmit={async (event) => {
        event.preventDefault();
        if (busy) return;
        setBusy(true);
        await send(Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>);
        setBusy(false);
      }}
    >
      {children}
      <button aria-disabled={busy}>{button}</button>
    </form>
  );
}

type FieldProps = ComponentProps<"input"> & { label: string; hint?: string; errors?: string[] };

/** A field with its label and, where the site refuses what was typed, its sentences and the focus. */
export function Field({ label, hint, errors = [], ...input }: FieldProps) {
  const id = useId();
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (errors.length) box.current?.focus();
  }, [errors]);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {hint && <p id={`${id}-hint`}>{hint}</p>}
      <input ref={box} id={id} required aria-invalid={errors.length > 0} aria-describedby={`${id}-hint ${id}-errors`} {...input} />
      <ul id={`${id}-errors`}>
        {errors.map((error) => (
          <li key={error}>{error}</li>
        ))}
      </ul>
    </div>
  );
}
