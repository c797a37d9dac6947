// "Check your email": what only this browser knows, namely the address that was typed in this tab and when.
(() => {
  const mailboxes = {
    "gmail.com googlemail.com": ["Gmail", "mail.google.com/"],
    "outlook.com hotmail.com hotmail.de hotmail.fr hotmail.it hotmail.es hotmail.co.uk live.com msn.com": ["Outlook", "outlook.live.com/mail/"],
    "yahoo.com yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.uk yahoo.com.br ymail.com": ["Yahoo Mail", "mail.yahoo.com/"],
    "yahoo.co.jp": ["Yahoo!メール", "mail.yahoo.co.jp/"],
    "icloud.com me.com mac.com": ["iCloud Mail", "www.icloud.com/mail"],
    "proton.me protonmail.com pm.me": ["Proton Mail", "mail.proton.me/"],
    "gmx.de gmx.net gmx.at gmx.ch": ["GMX", "www.gmx.net/"],
    "web.de": ["WEB.DE", "web.de/"],
    "aol.com": ["AOL Mail", "mail.aol.com/"],
    "orange.fr": ["Orange", "messagerie.orange.fr/"],
    "libero.it": ["Libero Mail", "mail.libero.it/"],
    "wp.pl": ["WP Poczta", "poczta.wp.pl/"],
    "qq.com": ["QQ邮箱", "mail.qq.com/"],
    "163.com": ["网易邮箱", "mail.163.com/"],
  };
  const read = (key) => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null; // a browser may keep nothing
    }
  };
  const address = read("password-reset-address");
  if (!address) return;
  const asked = (read("password-reset-asked") || "").split(" ").filter(Boolean).map(Number);

  document.querySelector("[data-address]").textContent = address;
  document.querySelector("[data-typed]").hidden = false;
  document.querySelector("[data-change]").addEventListener("click", () => sessionStorage.setItem("password-reset-do", "change"));

  const domain = address.split("@").pop().toLowerCase();
  const known = Object.entries(mailboxes).find(([domains]) => domains.split(" ").includes(domain));
  const link = document.querySelector("[data-mailbox]");
  if (known) {
    const [name, place] = known[1];
    link.href = `https://${place}`;
    link.textContent = link.dataset.mailbox.replace("{mailbox}", name);
    link.parentElement.hidden = false;
  }

  // Sent again by the form's own page, which has what a form needs. Not before the limits let it pass: "3/h" is open
  // again when the oldest of the last three is an hour old.
  const again = document.querySelector("[data-again]");
  const seconds = { s: 1, m: 60, h: 3600, d: 86400 };
  const openings = again.dataset.rates.split(" ").filter(Boolean).map((rate) => {
    const [, count, times, unit] = rate.match(/(\d+)\/(\d*)([smhd])/);
    return asked.length < count ? 0 : asked.at(-count) + (times || 1) * seconds[unit] * 1000;
  });
  const opening = Math.max((asked.at(-1) || 0) + Number(again.dataset.pause) * 1000, ...openings);
  again.textContent = again.dataset.again;
  again.dataset.wait = Math.max(Math.ceil((opening - Date.now()) / 1000), 0);
  again.addEventListener("click", () => sessionStorage.setItem("password-reset-do", "again"));
})();
