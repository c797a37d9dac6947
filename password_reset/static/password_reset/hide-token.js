// Takes ?token=… out of the address bar before anything else can read or keep it; the form holds it.
// A page whose token is a part of the path names another path to show instead.
(() => {
  const { instead } = document.currentScript.dataset;
  const url = new URL(instead || location.href, location.href);
  if (!instead && !url.searchParams.has("token")) return;
  url.searchParams.delete("token");
  history.replaceState(null, "", url);
})();
