// Sets a chosen theme before the first paint; the switch itself is in app.js.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is off: the system's preference stands */ }
