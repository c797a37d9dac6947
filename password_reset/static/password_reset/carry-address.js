// The log-in page: takes the typed address along to the form for a forgotten password, in this tab alone. Without this
// script, or where a browser keeps nothing, the button sends the log-in form there.
document.querySelectorAll("button[data-carry-address]").forEach((button) => button.addEventListener("click", (event) => {
  const { elements } = button.form;
  const address = elements[button.value]?.value.trim() || "";
  try {
    if (sessionStorage.getItem("password-reset-address") !== address) sessionStorage.removeItem("password-reset-asked");
    if (address.includes("@")) {
      sessionStorage.setItem("password-reset-address", address);
      sessionStorage.setItem("password-reset-do", "change");
    }
  } catch {
    return;
  }
  event.preventDefault();
  const url = new URL(button.formAction);
  if (elements.next?.value) url.searchParams.set("next", elements.next.value);
  location.assign(url);
}));
