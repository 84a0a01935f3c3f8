"use strict";
// Searches and orders the lines of an audit report. Without it everything is there, and filters work.
(function () {
  var list = document.querySelector(".rows"), tools = document.getElementById("tools");
  if (!list || !tools) { return; }
  var rows = Array.prototype.slice.call(list.children);
  var search = document.getElementById("search"), order = document.getElementById("order");
  var found = document.getElementById("found");
  rows.forEach(function (row, place) { row.dataset.first = String(place); });
  function number(row, name) { return Number(row.dataset[name]); }
  function show() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean), count = 0;
    rows.forEach(function (row) {
      var text = row.querySelector("summary").textContent.toLowerCase();
      var meant = words.every(function (word) { return text.indexOf(word) >= 0; });
      row.hidden = !meant;
      count += meant ? 1 : 0;
    });
    found.textContent = words.length ? count + " of " + rows.length : "";
  }
  function sort() {
    var by = order.value, down = by === "size" ? -1 : 1;
    rows.sort(function (a, b) {
      return down * (number(a, by) - number(b, by)) || number(a, "first") - number(b, "first");
    });
    rows.forEach(function (row) { list.appendChild(row); });
  }
  function opened() {  // a link to a line opens it
    var row = location.hash && document.getElementById(location.hash.slice(1));
    var inner = row && row.querySelector("details");
    var outer = row && row.closest("details");
    if (outer) { outer.open = true; }
    if (inner && row.classList.contains("row")) { row.hidden = false; inner.open = true; row.scrollIntoView(); }
    else if (outer) { row.scrollIntoView(); }
  }
  search.addEventListener("input", show);
  order.addEventListener("change", sort);
  window.addEventListener("hashchange", opened);
  tools.hidden = false;
  opened();
})();
