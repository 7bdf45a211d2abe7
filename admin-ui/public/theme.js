// Before the first paint, so that a dark console does not flash white.
try {
  const theme = localStorage.getItem("amqp-gateway.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's choice holds.
}
