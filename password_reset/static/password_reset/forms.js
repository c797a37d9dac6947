// What the forms do beyond HTML. Without this file they work as they are.
(() => {
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // What is kept of a form belongs to this tab and is sent nowhere. A browser may keep nothing.
  const store = (key, value) => {
    try {
      if (value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, value);
    } catch {}
  };
  const read = (key) => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  };

  // Errors: the first wrong field has the focus, so a screen reader says what is wrong with it, and is on the screen
  // together with its errors, also when a keyboard takes half of that.
  const wrong = document.querySelector("[aria-invalid=true]");
  const showWrong = () => {
    const group = wrong.closest(".pr-field");
    const { offsetTop, height } = window.visualViewport ?? { offsetTop: 0, height: innerHeight };
    const seen = group.getBoundingClientRect().top >= offsetTop && wrong.getBoundingClientRect().bottom <= offsetTop + height;
    if (!seen && document.activeElement === wrong) group.scrollIntoView({ block: "start" });
  };
  if (wrong) {
    wrong.focus({ preventScroll: true });
    showWrong();
    window.visualViewport?.addEventListener("resize", showWrong);
  }

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

  // Rules: those that can be judged here tick themselves; the others wait for the server. A few of the passwords that
  // every list of common ones has are known here too; all the others may still be on it.
  const common = (
    "password password1 password12 password123 passw0rd 12345678 123456789 1234567890 87654321 11111111 qwerty123 " +
    "qwertyui qwertyuiop 1qaz2wsx 1q2w3e4r asdfghjk iloveyou sunshine princess football baseball superman trustno1 " +
    "starwars whatever jennifer michelle computer internet welcome1"
  ).split(" ");
  const judges = {
    length: (password, rule) => [...password].length >= Number(rule.dataset.minimum),
    numeric: (password) => password !== "" && !/^[\p{Nd}\p{No}]+$/u.test(password),
  };
  const breaks = (password, rule) => {
    const judge = judges[rule.dataset.rule];
    return judge ? !judge(password, rule) : rule.dataset.rule === "common" && common.includes(password.trim().toLowerCase());
  };
  each("[data-rules]", (box) => {
    const field = document.getElementById(box.dataset.rules);
    const status = box.querySelector("[role=status]");
    const rules = [...box.querySelectorAll("li")];
    const judged = rules.filter((rule) => judges[rule.dataset.rule]);
    let pause;
    const say = () => {
      clearTimeout(pause);
      if (!field.value) return;
      rules.forEach((rule) => rule.toggleAttribute("data-broken", breaks(field.value, rule)));
      const { words, brokenWords } = status.dataset;
      const met = judged.filter((rule) => rule.hasAttribute("data-met")).length;
      const broken = rules.filter((rule) => rule.hasAttribute("data-broken")).map((rule) => rule.textContent.trim());
      status.textContent = [
        words.replace("{met}", met).replace("{all}", judged.length),
        ...(broken.length ? [brokenWords.replace("{rules}", broken.join(" · "))] : []),
      ].join(". ");
    };
    field.addEventListener("input", () => {
      rules.forEach((rule) => rule.removeAttribute("data-broken"));
      judged.forEach((rule) => rule.toggleAttribute("data-met", judges[rule.dataset.rule](field.value, rule)));
      clearTimeout(pause);
      pause = setTimeout(say, 1000);
    });
    field.addEventListener("blur", say);
  });

  // The same twice, or not: said beside the second label. A difference is said after a pause and only once; what is
  // merely not finished is none until the field is left.
  each("[data-same]", (hint) => {
    const [first, second] = hint.dataset.for.split(" ").map((id) => document.getElementById(id));
    let pause;
    const say = (text) => {
      clearTimeout(pause);
      if (hint.textContent !== text) hint.textContent = text;
      hint.toggleAttribute("data-differs", text === hint.dataset.differ);
    };
    const compare = (event) => {
      clearTimeout(pause);
      const left = event.type === "blur";
      if (!first.value || !second.value) return say("");
      if (first.value === second.value) return say(hint.dataset.same);
      if (!left && first.value.startsWith(second.value)) return say("");
      if (left) return say(hint.dataset.differ);
      if (hint.textContent === hint.dataset.same) say("");
      pause = setTimeout(say, 400, hint.dataset.differ);
    };
    [first, second].forEach((field) => ["input", "blur"].forEach((type) => field.addEventListener(type, compare)));
  });

  // The link: kept where this tab alone has it, so that a reload does not lose it. On its way it waits in the tab's
  // storage, where the next page looks for it; once it is spent it is in neither.
  const SENT = "password-reset-sent-token";
  store(SENT, null);
  each("form[data-keep-link]", (form) => {
    const keep = () => {
      history.replaceState({ passwordResetToken: form.elements.token.value }, "");
      store(SENT, null);
    };
    form.addEventListener("submit", () => {
      history.replaceState(null, "");
      store(SENT, form.elements.token.value);
      setTimeout(keep, 20000);
    });
    addEventListener("pageshow", keep);
    keep();
  });

  // The typed address: kept for the next page, which is the same for everybody and shows it from here.
  const ADDRESS = "password-reset-address";
  const ASKED = "password-reset-asked";
  const DO = "password-reset-do";
  each("form[data-forget-address]", (form) => form.addEventListener("submit", () => store(ADDRESS, null)));
  each("form[data-remember-address]", (form) => {
    const field = form.elements.email;
    const address = read(ADDRESS);
    form.addEventListener("submit", () => {
      const typed = field.value.trim();
      const asked = typed === address && read(ASKED) ? read(ASKED).split(" ").slice(-20) : [];
      store(ADDRESS, typed);
      store(ASKED, [...asked, Date.now()].join(" "));
    });
    const wish = read(DO);
    store(DO, null);
    if (!wish || !address || field.value) return;
    field.value = address;
    const others = [...form.elements].filter((each) => each !== field && each.name && each.type !== "hidden");
    if (wish === "again" && !others.length) form.requestSubmit();
    else field.focus();
  });
  if (document.querySelector("[data-finished]")) [ADDRESS, ASKED, DO].forEach((key) => store(key, null));

  // "Did you mean gmail.com?": one letter too many, too few, another one, or two in the wrong order.
  const usual = ["gmail.com", "googlemail.com", "hotmail.com", "outlook.com", "yahoo.com", "icloud.com", "protonmail.com"];
  const alike = ["mail.com", "email.com", "ymail.com"];
  const isSlip = (typed, meant) => {
    let start = 0;
    while (start < meant.length && typed[start] === meant[start]) start += 1;
    const [a, b] = [typed.slice(start), meant.slice(start)];
    return a.slice(1) === b.slice(1) || a.slice(1) === b || a === b.slice(1) || (a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2));
  };
  each("[data-did-you-mean]", (hint) => {
    const field = document.getElementById(hint.dataset.for);
    const suggest = () => {
      const [name, domain, ...more] = field.value.trim().split("@");
      const typed = (domain || "").toLowerCase();
      const known = usual.includes(typed) || alike.includes(typed);
      const meant = name && !more.length && !known && usual.find((each) => isSlip(typed, each));
      if (!meant) return hint.replaceChildren();
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "pr-link" });
      button.textContent = hint.dataset.didYouMean.replace("{address}", `${name}@${meant}`);
      button.addEventListener("click", () => {
        field.value = `${name}@${meant}`;
        hint.replaceChildren();
        field.focus();
      });
      hint.replaceChildren(button);
    };
    let pause;
    field.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(suggest, 400); // a shift of the layout within 500 ms is one that somebody asked for
    });
    suggest();
  });
})();
