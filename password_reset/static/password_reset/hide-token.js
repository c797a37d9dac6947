// Takes ?token=… out of the address bar before anything else can read or keep it; the form holds it.
(() => {
  const url = new URL(location.href);
  if (!url.searchParams.has("token")) return;
  url.searchParams.delete("token");
  history.replaceState(null, "", url);
})();
