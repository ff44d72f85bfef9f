"use strict";
(() => {
  // src/again.js
  var kept = sessionStorage.getItem("livews-token");
  if (kept && !location.search) location.replace("/?token=" + encodeURIComponent(kept));
  else if (kept) sessionStorage.removeItem("livews-token");
})();
