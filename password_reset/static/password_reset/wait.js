// Buttons that wake up when it is time. Without this file they work at once, and it is the server that refuses.
document.querySelectorAll("[data-wait]").forEach((button) => {
  const words = button.textContent;
  const status = button.parentElement.querySelector("[role=status]");
  const end = Date.now() + Number(button.dataset.wait) * 1000;
  const digits = (number) => String(number).padStart(2, "0");
  const left = () => Math.ceil((end - Date.now()) / 1000);
  const clock = (seconds) => {
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    return `${hours ? `${hours}:${digits(minutes)}` : minutes}:${digits(seconds % 60)}`;
  };
  const look = () => {
    const waiting = left() > 0;
    button.toggleAttribute("data-asleep", waiting);
    button.textContent = waiting ? button.dataset.waiting.replace("{time}", clock(left())) : words;
    if (waiting) return button.setAttribute("aria-disabled", "true");
    button.removeAttribute("aria-disabled");
    status.textContent = status.dataset.awake;
    clearInterval(timer);
  };
  button.addEventListener("click", (event) => left() > 0 && event.preventDefault());
  if (left() <= 0) return;
  const timer = setInterval(look, 1000);
  look();
});
