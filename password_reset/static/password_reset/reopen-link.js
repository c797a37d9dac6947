// After a reload, or when the browser had discarded the tab: opens the link that forms.js has kept for this tab.
(() => {
  let token = history.state?.passwordResetToken;
  try {
    token ??= sessionStorage.getItem("password-reset-sent-token");
    sessionStorage.removeItem("password-reset-sent-token");
  } catch {} // a browser may keep nothing
  if (/^[0-9a-f]{64}$/.test(token)) location.replace(`${location.pathname}?token=${token}`);
})();
