// A page that was loaded again has no token in its address; this tab has kept it.
const kept = sessionStorage.getItem("livews-token");
if (kept && !location.search) location.replace("/?token=" + encodeURIComponent(kept));
else if (kept) sessionStorage.removeItem("livews-token");
