// What the forms do beyond HTML. Without this file they work as they are.
(() => {
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // Errors: the first wrong field has the focus, so a screen reader says what is wrong with it.
  document.querySelector("[aria-invalid=true]")?.focus();

  // Submit once: a second tap sends nothing. A lost connection or the way back makes the button fresh again.
  each("form[data-submit-once]", (form) => {
    const button = form.querySelector("[type=submit]");
    const words = button.textContent;
    const refresh = () => {
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    };
    form.addEventListener("submit", (event) => {
      if (button.hasAttribute("aria-disabled")) return event.preventDefault();
      button.setAttribute("aria-disabled", "true");
      button.textContent = form.dataset.submitOnce;
      setTimeout(refresh, 20000);
    });
    addEventListener("pageshow", refresh);
  });

  // Show: one button for both fields; hidden again when the form is sent, so that browsers offer to save the password.
  each("[data-show]", (button) => {
    const fields = [...button.form.querySelectorAll("[type=password]")];
    const show = (visible) => {
      fields.forEach((field) => (field.type = visible ? "text" : "password"));
      button.textContent = visible ? button.dataset.hide : button.dataset.show;
      button.setAttribute("aria-label", visible ? button.dataset.hideLabel : button.dataset.showLabel);
    };
    button.addEventListener("click", () => show(fields[0].type === "password"));
    button.form.addEventListener("submit", () => show(false));
    button.hidden = false;
  });

  // Caps Lock: said beside the label, where there is room for it.
  each("[data-caps-lock]", (hint) => {
    const field = document.getElementById(hint.dataset.for);
    const look = (event) => {
      const on = event.type !== "blur" && event.getModifierState?.("CapsLock");
      hint.textContent = on ? hint.dataset.capsLock : "";
    };
    ["keydown", "keyup", "click", "blur"].forEach((type) => field.addEventListener(type, look));
  });

  // Rules: those that can be judged here tick themselves; the others wait for the server.
  const judges = {
    length: (password, rule) => [...password].length >= Number(rule.dataset.minimum),
    numeric: (password) => password !== "" && !/^[\p{Nd}\p{No}]+$/u.test(password),
  };
  each("[data-rules]", (box) => {
    const field = document.getElementById(box.dataset.rules);
    const status = box.querySelector("[role=status]");
    const rules = [...box.querySelectorAll("[data-rule]")].filter((rule) => judges[rule.dataset.rule]);
    let pause;
    field.addEventListener("input", () => {
      rules.forEach((rule) => rule.toggleAttribute("data-met", judges[rule.dataset.rule](field.value, rule)));
      const met = rules.filter((rule) => rule.hasAttribute("data-met")).length;
      clearTimeout(pause);
      pause = setTimeout(() => {
        status.textContent = status.dataset.words.replace("{met}", met).replace("{all}", rules.length);
      }, 1000);
    });
  });

  // The same twice: said beside the second label.
  each("[data-same]", (hint) => {
    const [first, second] = hint.dataset.for.split(" ").map((id) => document.getElementById(id));
    const compare = () => {
      hint.textContent = second.value && first.value === second.value ? hint.dataset.same : "";
    };
    [first, second].forEach((field) => field.addEventListener("input", compare));
  });
})();
