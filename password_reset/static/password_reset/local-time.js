// Says a moment by the reader's own clock instead of the server's.
document.querySelectorAll("time[data-local]").forEach((time) => {
  const moment = new Date(time.dateTime);
  const today = moment.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  time.textContent = moment.toLocaleString(document.documentElement.lang, style);
});
