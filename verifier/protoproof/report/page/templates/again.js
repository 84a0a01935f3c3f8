// Proves the page's claim again, in the reader's browser, from what the page carries; loads nothing, sends nothing.
//
// The page carries, packed (raw deflate, base64) and each with its SHA-256: the kernel (js_of_ocaml's output, see
// verifier/formal/page.ml) and a JSON object { statement, proof, reason, beyond, predicted, shown, noun }, of which
// `shown` is the SHA-256 of what the page shows. Everything that this script shows of a claim it reads from the
// statement. Text enters the page as text only.
(function () {
  "use strict";

  // Bytes to hexadecimal digits (FIPS 180-4). Pages opened as files may have no crypto.subtle.
  function sha256(bytes) {
    var K = [
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
    ];
    var H = [
      0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
    ];
    var W = new Int32Array(64);
    function turned(x, n) { return (x >>> n) | (x << (32 - n)); }
    function block(data, at) {
      var i, s, t;
      for (i = 0; i < 16; i++, at += 4) {
        W[i] = (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3];
      }
      for (; i < 64; i++) {
        s = turned(W[i - 15], 7) ^ turned(W[i - 15], 18) ^ (W[i - 15] >>> 3);
        t = turned(W[i - 2], 17) ^ turned(W[i - 2], 19) ^ (W[i - 2] >>> 10);
        W[i] = (W[i - 16] + s + W[i - 7] + t) | 0;
      }
      var a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
      for (i = 0; i < 64; i++) {
        s = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
        t = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g; g = f; f = e; e = (d + s) | 0; d = c; c = b; b = a; a = (s + t) | 0;
      }
      [a, b, c, d, e, f, g, h].forEach(function (x, k) { H[k] = (H[k] + x) | 0; });
    }
    var size = bytes.length, whole = size - size % 64, at;
    for (at = 0; at < whole; at += 64) block(bytes, at);
    var rest = new Uint8Array(size - whole < 56 ? 64 : 128), view = new DataView(rest.buffer);
    rest.set(bytes.subarray(whole));
    rest[size - whole] = 0x80;
    view.setUint32(rest.length - 8, Math.floor(size / 0x20000000));
    view.setUint32(rest.length - 4, (size << 3) >>> 0);
    for (at = 0; at < rest.length; at += 64) block(rest, at);
    return H.map(function (x) { return ("0000000" + (x >>> 0).toString(16)).slice(-8); }).join("");
  }

  // Raw deflate (RFC 1951).
  function inflate(data) {
    var at = 0, held = 0, have = 0, size = 0, out = new Uint8Array(4 * data.length + 64);
    function bits(n) {
      while (have < n) {
        if (at === data.length) throw new Error("cut short");
        held |= data[at++] << have;
        have += 8;
      }
      var value = held & ((1 << n) - 1);
      held >>>= n;
      have -= n;
      return value;
    }
    function room(n) {
      if (size + n > out.length) {
        var more = new Uint8Array(2 * (size + n));
        more.set(out);
        out = more;
      }
    }
    function code(lengths) {
      var count = new Uint16Array(16), from = new Uint16Array(17), symbols = new Uint16Array(lengths.length);
      lengths.forEach(function (n) { count[n]++; });
      count[0] = 0;
      for (var n = 1; n < 16; n++) from[n + 1] = from[n] + count[n];
      lengths.forEach(function (n, symbol) { if (n) symbols[from[n]++] = symbol; });
      return { count: count, symbols: symbols };
    }
    function symbol(of) {
      var word = 0, first = 0, index = 0;
      for (var n = 1; n < 16; n++) {
        word |= bits(1);
        if (word - of.count[n] < first) return of.symbols[index + word - first];
        index += of.count[n];
        first = (first + of.count[n]) << 1;
        word <<= 1;
      }
      throw new Error("no such word");
    }
    function stretch(base, n, step) {
      var starts = [], extra = [];
      for (var k = 0, next = base; k < n; k++) {
        extra.push(k < 2 * step ? 0 : Math.floor(k / step) - 1);
        starts.push(next);
        next += 1 << extra[k];
      }
      return { starts: starts, extra: extra };
    }
    var lengthsOf = stretch(3, 28, 4), distancesOf = stretch(1, 30, 2);
    lengthsOf.starts.push(258);
    lengthsOf.extra.push(0);
    function compressed(literals, distances) {
      for (;;) {
        var word = symbol(literals);
        if (word === 256) return;
        if (word < 256) {
          room(1);
          out[size++] = word;
          continue;
        }
        var n = lengthsOf.starts[word - 257] + bits(lengthsOf.extra[word - 257]);
        var back = symbol(distances);
        back = distancesOf.starts[back] + bits(distancesOf.extra[back]);
        if (!(back <= size)) throw new Error("before the beginning");
        room(n);
        for (; n > 0; n--, size++) out[size] = out[size - back];
      }
    }
    function repeated(n, value) { return new Array(n).fill(value); }
    function tables() {
      var literals = bits(5) + 257, distances = bits(5) + 1, count = bits(4) + 4;
      var order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
      var lengths = repeated(19, 0), all = [];
      for (var k = 0; k < count; k++) lengths[order[k]] = bits(3);
      var short_ = code(lengths);
      while (all.length < literals + distances) {
        var word = symbol(short_);
        if (word < 16) all.push(word);
        else if (word === 16) all = all.concat(repeated(3 + bits(2), all[all.length - 1]));
        else all = all.concat(repeated(word === 17 ? 3 + bits(3) : 11 + bits(7), 0));
      }
      compressed(code(all.slice(0, literals)), code(all.slice(literals, literals + distances)));
    }
    function stored() {
      held = have = 0;
      var n = data[at] | (data[at + 1] << 8);
      at += 4;
      if (at + n > data.length) throw new Error("cut short");
      room(n);
      out.set(data.subarray(at, at + n), size);
      at += n;
      size += n;
    }
    for (var last = 0; !last;) {
      last = bits(1);
      switch (bits(2)) {
        case 0: stored(); break;
        case 1:
          compressed(
            code(repeated(144, 8).concat(repeated(112, 9), repeated(24, 7), repeated(8, 8))),
            code(repeated(30, 5))
          );
          break;
        case 2: tables(); break;
        default: throw new Error("no such block");
      }
    }
    return out.subarray(0, size);
  }

  // Runs the kernel, beside the page or in it: a task in, messages out. Between two steps others may run.
  // A task is { statement, proof }, or, for a dropped file, { number, bytes } (its hash), or { number, statement, bytes,
  // data: [{ name, bytes }] }: a model with its data files, which is read once more (verifier/formal/page.ml).
  function engine(kernel, say) {
    function guarded(step) {
      try { return step(); } catch (error) { return "limits " + error; }
    }
    function step() {
      var line = guarded(function () { return kernel.next(""); });
      say({ line: line });
      if (/^(not )?proved /.test(line)) setTimeout(step, 0);
    }
    return function (task) {
      if (task.data) {
        say({ number: task.number, read: guarded(function () {
          task.data.forEach(function (file) { kernel.data(unescape(encodeURIComponent(file.name)), file.bytes); });
          return kernel.model(task.statement, task.bytes);
        }) });
        return;
      }
      if (task.bytes) {
        say({ number: task.number, size: task.bytes.length, sha256: sha256(task.bytes) });
        return;
      }
      var line = guarded(function () { return kernel.start(task.statement, task.proof); });
      if (line === "started") setTimeout(step, 0);
      else say({ line: line });
    };
  }

  // ------------------------------------------------------------------------------------------- what is carried
  function Changed(what) { this.what = what; }

  function unpacked(id) {
    var held = document.getElementById(id), text;
    try {
      text = atob(held.textContent.trim());
      var bytes = inflate(Uint8Array.from(text, function (c) { return c.charCodeAt(0); }));
      if (sha256(bytes) === held.getAttribute("data-sha256")) return new TextDecoder().decode(bytes);
    } catch (error) { /* said below */ }
    throw new Changed("what this page carries was changed (" + id + ")");
  }

  function hashOf(text) { return sha256(new TextEncoder().encode(text)); }

  // What the page shows but for what this script writes: its title, every text, and of header and main how their
  // parts are made: pictures, their words, sizes and places. Names of data and what a reader opens are left out.
  function shown() {
    var parts = [];
    function walk(node, inside) {
      node.childNodes.forEach(function (inner) {
        if (inner.nodeType === 3) parts.push(inner.data);
        if (inner.nodeType !== 1 || inner === box || inner.localName === "script") return;
        var within = inside || inner.localName === "header" || inner.localName === "main";
        if (within) Array.prototype.forEach.call(inner.attributes, function (about) {
          var name = about.name.toLowerCase();
          if (name !== "open" && name.slice(0, 5) !== "data-") parts.push(" " + name + "=" + about.value + " ");
        });
        walk(inner, within);
      });
    }
    parts.push(document.title, " ");
    walk(document.body, false);
    return parts.join("").replace(/[ \t\n\f\r]+/g, " ").trim();
  }

  // ---------------------------------------------------------------------------------------------- the statement
  function visible(text) {
    return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, function (c) {
      return "[U+" + ("000" + c.codePointAt(0).toString(16).toUpperCase()).slice(-4) + "]";
    });
  }

  function many(count, word, words) { return count + " " + (count === 1 ? word : words || word + "s"); }

  // An integer over 2^exponent, rounded for reading.
  function number(token, exponent) {
    if (token === "inf") return "infinity";
    var n = BigInt(token), spare = n.toString(2).length - 64;
    if (spare > 0) {
      n >>= BigInt(spare);
      exponent -= spare;
    }
    var value = Number(n);
    for (; exponent > 1000; exponent -= 1000) value *= Math.pow(2, -1000);
    return String(Number((value * Math.pow(2, -exponent)).toPrecision(6)));
  }

  function negated(token) { return String(-BigInt(token)); }

  function range(low, high, exponent) {
    var a = number(low, exponent), b = number(high, exponent);
    return a === b ? a : "from " + a + " to " + b;
  }

  // The parts of a statement that people read; verifier/formal/README.md has the grammar.
  function read(text) {
    var lines = text.split("\n"), found = {};
    lines.forEach(function (line, index) {
      var word = line.split(" ", 1)[0];
      if (/^[a-z]+$/.test(word) && !(word in found)) found[word] = index;
    });
    function tokens(word) { return word in found ? lines[found[word]].split(" ").slice(1) : []; }
    function block(word) {
      var count = Number(tokens(word)[1]), from = found[word] + 1;
      return lines.slice(from, from + count).map(function (line) { return line.split(" "); });
    }
    var geometry = tokens("geometry")[0], pooling = tokens("pooling");
    var turned = geometry === "linear" || geometry === "angular";
    var measure = {
      euclidean: "squared distance", diagonal: "weighted squared distance", linear: "dot product", angular: "cosine"
    }[geometry] || "measurement";
    function ends(low, high, exponent) {
      return turned ? range(negated(high), negated(low), exponent) : range(low, high, exponent);
    }
    function nearest(prototype) {
      return (pooling[0] === "all" ? pooling[1] : lines[found.pooling + 1 + prototype]) === "nearest";
    }
    function but(tokens) {
      return tokens.length ? " but " + many(tokens.length, "exempt one") + " (" + tokens.join(", ") + ")" : "";
    }
    var E = Number(tokens("facts")[0]), D = Number(tokens("domain")[0]);
    function fact(t) {
      switch (t[0]) {
        case "pair":
          return "location " + t[1] + " has " + measure + " " + ends(t[3], t[4], E) + " to prototype " + t[2];
        case "pooled":
          return nearest(Number(t[1]))
            ? "prototype " + t[1] + " has " + measure + " " + ends(t[2], t[3], E) + " where it is seen best"
            : "prototype " + t[1] + " has pooled value " + range(t[2], t[3], E);
        case "no-nearer":
          return "no prototype" + but(t.slice(3)) + " has " + measure + (turned ? " above " : " below ") +
            number(turned ? negated(t[1]) : t[1], E) + " anywhere";
        case "no-more":
          return "no prototype" + but(t.slice(3)) + " has activation above " + number(t[1], E);
        default: return t.join(" ");
      }
    }
    function constraint(t) {
      switch (t[0]) {
        case "everywhere": return "every value " + range(t[1], t[2], D);
        case "norm": return "length " + range(t[1], t[2], D) + " at every location";
        case "total": return "sum " + range(t[1], t[2], D) + " at every location";
        case "box": return "a box of its own at location " + t[1];
        case "jointly": return "a linear bound over all locations";
        default: return t.join(" ");
      }
    }
    var constraints = block("domain").map(constraint), claim = tokens("claim"), names = tokens("files");
    var files = [];
    for (var k = 1; k < names.length; k += 3) {
      files.push({ name: JSON.parse(names[k]), sha256: names[k + 1], size: Number(names[k + 2]) });
    }
    return {
      model: tokens("model")[0],
      input: tokens("input")[0],
      files: files,
      latent: many(Number(tokens("locations")[0]), "location") + " with " +
        many(Number(tokens("channels")[0]), "channel") + " each",
      prototypes: tokens("prototypes")[0],
      domain: constraints.length > 4
        ? constraints.slice(0, 3).concat([constraints.length - 3 + " more"]).join("; ")
        : constraints.join("; ") || "any real numbers whatever",
      facts: block("facts").map(fact),
      labels: claim[0] === "labels",
      reading: {
        greedy: " by the greedy reading of its tree", "sample-max": " by the sample-max reading of its tree"
      }[tokens("decision")[0]] || "",
      claim: claim[0] === "class"
        ? "class " + claim[1]
        : claim.slice(2).join(" ").replace(/(\d+) (on|off)/g, "$1 $2,").replace(/,$/, "")
    };
  }

  // --------------------------------------------------------------------------------------------------- the page
  var box = document.getElementById("again");

  function made(tag, about, inner) {
    var one = document.createElement(tag);
    Object.keys(about || {}).forEach(function (name) { one.setAttribute(name, about[name]); });
    [].concat(inner === undefined ? [] : inner).forEach(function (part) { one.append(part); });
    return one;
  }

  var stamp = made("p", { "class": "stamp", role: "status" });
  var title = made("h2", { id: "again-title" });
  var words = made("div");
  var more = made("div");

  function show(state, stamped, headline, parts) {
    box.setAttribute("data-state", state);
    stamp.textContent = stamped;
    title.textContent = headline;
    words.replaceChildren.apply(words, parts);
  }

  function sentence(text) { return made("p", {}, text); }
  function list(items) { return made("ul", {}, items.map(function (item) { return made("li", {}, item); })); }
  function rows(pairs) {
    return made("dl", { "class": "identity" }, pairs.map(function (pair) {
      var value = made("dd", pair[2] ? { "class": "hash" } : {}, pair[1]);
      return made("div", {}, [made("dt", {}, pair[0]), value]);
    }));
  }
  function seconds(ms) { return ms < 1000 ? Math.max(1, Math.round(ms)) + " ms" : (ms / 1000).toFixed(1) + " s"; }

  // Nobody who sees only the top of the page may take it for proved.
  function withdraw() {
    document.querySelectorAll(".stamp").forEach(function (other) {
      if (!box.contains(other)) other.textContent = "Refused: see below";
    });
    document.querySelectorAll(".good").forEach(function (other) { other.classList.replace("good", "bad"); });
  }

  function refuse(why, also) {
    withdraw();
    show("refused", "Refused", "This page does not prove what it says",
      [sentence("Refused: " + why + ". Do not rely on it; check the certificate with the model file.")].concat(also || []));
  }

  // The kernel beside the page where a worker may start, else in the page, step by step.
  function start(kernel, say, then) {
    var settled = false, worker = null, address = null;
    function inside() {
      if (settled) return;
      settled = true;
      if (worker) worker.terminate();
      document.body.append(made("script", {}, kernel));
      if (!globalThis.protoproofKernel) say({ line: "limits this browser did not let the kernel run" });
      else then(engine(globalThis.protoproofKernel, say));
    }
    try {
      var text = kernel + "\n" + sha256 + "\n" + engine +
        "\nvar told = engine(globalThis.protoproofKernel, function (message) { postMessage(message); });" +
        "\nonmessage = function (event) { told(event.data); };\npostMessage({ ready: true });\n";
      address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      worker = new Worker(address);
    } catch (error) {
      inside();
      return;
    }
    var late = setTimeout(inside, 10000);
    worker.onerror = function (event) {
      event.preventDefault();
      if (!settled) inside();
      else say({ line: "limits the kernel stopped: " + (event.message || "no reason given") });
    };
    worker.onmessage = function (event) {
      if (!event.data.ready) say(event.data);
      else if (!settled) {
        settled = true;
        clearTimeout(late);
        URL.revokeObjectURL(address);
        then(function (task) { worker.postMessage(task); });
      }
    };
  }

  function run() {
    var began = Date.now(), carried, kernel, claim;
    try {
      kernel = unpacked("kernel");
      carried = JSON.parse(unpacked("proof"));
      if (hashOf(shown()) !== carried.shown) {
        throw new Changed("its words or pictures are not those that it was written with");
      }
      claim = carried.statement ? read(carried.statement) : null;
    } catch (error) {
      refuse(error instanceof Changed ? error.what : "what it carries cannot be read");
      return;
    }
    var hashes = [["Kernel sha256", hashOf(kernel), true]];
    if (claim) hashes.unshift(["Statement sha256", hashOf(carried.statement), true]);

    function numbers(title, about) {
      var inner = [
        sentence(about + ", not from the words of this page; rounded for reading."),
        rows([
          [claim.labels ? "Labels" : "Predicted", claim.claim + claim.reading],
          ["Domain", claim.latent + ": " + claim.domain],
          ["Prototypes", claim.prototypes],
          ["Model sha256", claim.model, true],
          ["Input sha256", claim.input, true]
        ].concat(hashes)),
        made("ol", { "class": "note" }, claim.facts.slice(0, 1000).map(function (fact) { return made("li", {}, fact); }))
      ];
      if (claim.facts.length > 1000) inner.push(sentence("And " + (claim.facts.length - 1000) + " more."));
      return made("details", {}, [made("summary", {}, title)].concat(inner));
    }

    function provedNumbers() { return numbers("What was proved, in numbers", "Read from the statement that was proved"); }
    function claimedNumbers() {
      return claim ? [numbers("What is claimed, in numbers", "Read from the statement, which was not proved here")] : [];
    }

    function uncovered() {
      return carried.beyond.concat(left).map(function (what) { return "Not covered by the kernel: " + what + "."; });
    }

    var count = claim ? claim.facts.length : 0, proved = [], failed = [], left = [], further = [], sufficient = false, over = "";
    var done = 0, total = carried.witnesses, bar = made("progress", { max: total + 1, value: 0, "aria-label": "Progress" });
    var doing = sentence("");

    function progress() {
      bar.value = done;
      doing.textContent = sufficient
        ? "The facts suffice. Facts that are necessary: " + proved.length + " of " + total + " ..."
        : "Do the facts suffice? ...";
    }

    // What the kernel proved besides: verifier/formal/README.md says what its lines mean.
    function besides(kind, numbers) {
      if (kind === "contrast" && numbers.length === 2) {
        return "Contrast: a latent in the domain " + (claim.labels
          ? "has label " + numbers[0] + " decided otherwise"
          : "is certainly predicted as class " + numbers[0] + claim.reading) +
          ", and differs from the recorded one in at most " + many(Number(numbers[1]), "pair") + " of location and prototype.";
      }
      if (kind === "at-least" && numbers.length === 3) {
        return "Size: every explanation of the vocabulary “" + numbers[1] + "”" +
          (numbers[2] === "activations" ? ", with ceilings of activations," : "") + " has at least " +
          many(Number(numbers[0]), "fact") + ".";
      }
      if (kind === "float32") {
        return "Level F: the same holds of every float32 execution of the head that the statement describes.";
      }
      return "Proved besides: " + visible(kind + " " + numbers.join(" ")) + ".";
    }

    function finish() {
      var took = seconds(Date.now() - began), is = claim.labels
        ? "has exactly these labels: " + claim.claim
        : "is predicted as " + claim.claim + claim.reading;
      is += " (on this page: “" + visible(carried.predicted) + "”)";
      var said = [
        "Sufficient" + over + ": every latent in " + (over ? "a part" : "the domain") +
          (count ? " that meets the " + many(count, "fact") : "") + " " + is + "; the recorded latent is one of them."
      ];
      if (proved.length) {
        said.push("Necessary: " + (proved.length === count ? "each of the facts" : proved.length + " of the " + many(count, "fact")) +
          ". Without it, a recorded latent meets all the others and is certainly predicted otherwise.");
      }
      if (!sufficient || failed.length) {
        refuse(sufficient ? "it is not proved that these hold: " + failed.join(", ") : "the proof does not prove the statement",
          claimedNumbers());
        return;
      }
      said = said.concat(further);
      var all = !carried.beyond.length && !left.length;
      show(all ? "proved" : "partly", "Checked again in your browser" + (all ? "" : ", in part"),
        "Proved again, on this computer, in " + took + (all ? "" : ", but for what is not covered"), [
        sentence("A checker that is itself proved in Coq ran here, without a network. It proved, over the real numbers:"),
        list(said.concat(uncovered())),
        provedNumbers()
      ]);
      more.replaceChildren(dropped());
    }

    function open(headline, why) {
      show("open", "Not proved again here", headline,
        [sentence(why + " What this page calls proved rests on ProtoProof’s own checker.")].concat(claimedNumbers()));
      if (claim) more.replaceChildren(dropped());
    }

    var ask = null, asked = [];
    function said(message) {
      if ("number" in message) {
        asked[message.number](message);
        return;
      }
      var line = message.line, about = /^(not )?proved (\S+)(.*)$/.exec(line);
      if (about) {
        var fact = about[2] === "necessary" ? "fact " + (Number(about[3].split(" ")[1]) + 1) : "";
        // what the kernel does not know of float32 takes nothing from what it proved over the reals
        if (about[1] && about[2] === "float32") left.push("level F, every float32 execution of the head");
        else if (about[1]) failed.push(fact ? "the necessity of " + fact : visible(about[2] + about[3]));
        else if (about[2] === "sufficient") {
          sufficient = true;
          over = visible(about[3]);
        } else if (!fact) further.push(besides(about[2], about[3].trim().split(" ")));
        else if (proved.indexOf(fact) < 0) proved.push(fact);
        done++;
        progress();
      } else if (line === "end") finish();
      else if (/^limits /.test(line)) open("This browser could not finish", "Undecided: " + visible(line.slice(7)) + ".");
      else refuse("the kernel cannot read it: " + visible(line), []);
    }

    // One file: its hash against the statement's. With data files, the statement names a list of all of them.
    function compared(hash, size) {
      var data = claim.files.filter(function (file) { return file.sha256 === hash && file.size === size; });
      if (data.length) return { data: data[0].name };
      var own = claim.files.length === 0 ? hash : hashOf(claim.files.reduce(function (all, file) {
        return all + file.sha256 + "  " + file.size + "  " + file.name + "\n";
      }, hash + "  " + size + "  model\n"));
      return { same: own === claim.model };
    }

    // What the second reader says of a model whose hash is the statement's.
    function readAgain(name, line) {
      var why = visible(line.replace(/^\S+ /, ""));
      if (/^different /.test(line)) return ["different", "Refused: " + name + " does not compute the head of the statement: " + why + "."];
      var same = /^same /.test(line);
      return [same ? "same" : "partly", name + " is the network of the statement: equal SHA-256. " + (same
        ? "And it computes the head of the statement: found here, from the file, by a reader that shares no code with ProtoProof’s checker."
        : "Only the hash was compared: the second reader could not compare the head (" + why + ").")];
    }

    function dropped() {
      var input = made("input", { type: "file", multiple: "" }), answers = made("ul", { "class": "files", role: "status" });
      var zone = made("label", { "class": "drop" }, [
        made("span", {}, "Is it your network? Drop the .onnx file here" +
          (claim.files.length ? " (and its " + many(claim.files.length, "data file") + ")" : "") +
          ", or choose it. It stays on this computer."),
        input
      ]);
      var held = {}, model = null;
      function told(line, state, text) {
        line.setAttribute("class", state);
        line.textContent = text;
      }
      function later(task, then) {
        task.number = asked.push(then) - 1;
        ask(task);
      }
      function readModel() {
        var missing = claim.files.filter(function (file) { return !(file.name in held); });
        if (!model) return;
        if (missing.length) {
          told(model.line, "partly", model.name + " is the network of the statement: equal SHA-256. Only the hash was compared: " +
            "to compare its head, drop its data files too.");
          return;
        }
        model.line.removeAttribute("class");
        model.line.textContent = model.name + " has the SHA-256 of the statement. Reading its head ...";
        var data = claim.files.map(function (file) { return { name: file.name, bytes: held[file.name] }; });
        later({ statement: carried.statement, bytes: model.bytes, data: data }, function (message) {
          told.apply(null, [model.line].concat(readAgain(model.name, message.read)));
        });
      }
      function take(files) {
        Array.from(files).forEach(function (file) {
          var name = visible(file.name), line = made("li", {}, "Reading " + name + " ...");
          answers.append(line);
          file.arrayBuffer().then(function (buffer) {
            var bytes = new Uint8Array(buffer);
            later({ bytes: bytes }, function (message) {
              var found = compared(message.sha256, message.size);
              if ("data" in found) {
                held[found.data] = bytes;
                told(line, "same", name + " is the data file " + visible(found.data) + " of this network: equal SHA-256.");
                readModel();
              } else if (found.same) {
                model = { name: name, bytes: bytes, line: line };
                readModel();
              } else {
                told(line, "different", "Refused: " + name + " is not the network of the statement. Its SHA-256 is " + message.sha256 + ".");
              }
            });
          }, function () {
            line.textContent = name + " cannot be read here.";
          });
        });
      }
      input.addEventListener("change", function () { take(input.files); });
      ["dragover", "drop"].forEach(function (kind) {
        zone.addEventListener(kind, function (event) {
          event.preventDefault();
          if (kind === "drop") take(event.dataTransfer.files);
        });
      });
      return made("div", {}, [zone, answers]);
    }

    if (claim && carried.proof) {
      progress();
      show("running", "Checking again in your browser", "Proving it once more, on this computer", [bar, doing]);
    }
    start(kernel, said, function (given) {
      ask = given;
      if (claim && carried.proof) ask({ statement: carried.statement, proof: carried.proof });
      else {
        var why = visible(carried.reason);
        open("The machine-checked kernel does not know this claim", why.charAt(0).toUpperCase() + why.slice(1) + ".");
      }
    });
  }

  box.replaceChildren(stamp, title, words, more);
  show("running", "Checking again in your browser", "Proving it once more, on this computer", []);
  setTimeout(run, 50);
})();
