// Integers of any size for the kernel in a browser: zarith's primitives on BigInt (which this compiler cannot
// read as literals), and how page.ml offers its functions. A small integer may be either kind of number.
// Digits only, in the base that zarith's of_string has without a prefix; anything else is no integer.

//Provides: pp_big
function pp_big(x) { return typeof x === "bigint" ? x : BigInt(x); }
//Provides: pp_small
function pp_small(x) { return x >= -0x80000000 && x <= 0x7fffffff ? Number(x) : x; }

//Provides: ml_z_init
function ml_z_init(unit) { return 0; }
//Provides: ml_z_add
//Requires: pp_big, pp_small
function ml_z_add(a, b) { return pp_small(pp_big(a) + pp_big(b)); }
//Provides: ml_z_sub
//Requires: pp_big, pp_small
function ml_z_sub(a, b) { return pp_small(pp_big(a) - pp_big(b)); }
//Provides: ml_z_mul
//Requires: pp_big, pp_small
function ml_z_mul(a, b) { return pp_small(pp_big(a) * pp_big(b)); }
// products of two numbers of 32 bits are rounded, but not from outside the 32 bits to their inside
//Provides: ml_z_mul_overflows
function ml_z_mul_overflows(a, b) { var c = a * b; return c >= -0x80000000 && c <= 0x7fffffff ? 0 : 1; }
//Provides: ml_z_neg
//Requires: pp_big, pp_small
function ml_z_neg(a) { return pp_small(-pp_big(a)); }
//Provides: ml_z_abs
//Requires: pp_big, pp_small
function ml_z_abs(a) { var x = pp_big(a); return pp_small(x < 0 ? -x : x); }
//Provides: ml_z_succ
//Requires: pp_big, pp_small
function ml_z_succ(a) { return pp_small(pp_big(a) + BigInt(1)); }
//Provides: ml_z_pred
//Requires: pp_big, pp_small
function ml_z_pred(a) { return pp_small(pp_big(a) - BigInt(1)); }
//Provides: ml_z_compare
//Requires: pp_big
function ml_z_compare(a, b) { var x = pp_big(a), y = pp_big(b); return x < y ? -1 : x > y ? 1 : 0; }
//Provides: ml_z_equal
//Requires: pp_big
function ml_z_equal(a, b) { return pp_big(a) === pp_big(b) ? 1 : 0; }
//Provides: ml_z_sign
function ml_z_sign(a) { return a < 0 ? -1 : a > 0 ? 1 : 0; }
//Provides: ml_z_shift_left
//Requires: pp_big, pp_small
function ml_z_shift_left(a, n) { return pp_small(pp_big(a) << BigInt(n)); }
//Provides: ml_z_div_rem
//Requires: pp_big, pp_small, caml_raise_zero_divide
function ml_z_div_rem(a, b) {
  var x = pp_big(a), y = pp_big(b);
  if (y == 0) caml_raise_zero_divide();
  return [0, pp_small(x / y), pp_small(x % y)];
}
//Provides: ml_z_div
//Requires: ml_z_div_rem
function ml_z_div(a, b) { return ml_z_div_rem(a, b)[1]; }
//Provides: ml_z_divexact
//Requires: ml_z_div
function ml_z_divexact(a, b) { return ml_z_div(a, b); }
//Provides: ml_z_gcd
//Requires: pp_big, pp_small, ml_z_abs
function ml_z_gcd(a, b) {
  var x = pp_big(ml_z_abs(a)), y = pp_big(ml_z_abs(b));
  while (y != 0) { var z = x % y; x = y; y = z; }
  return pp_small(x);
}
//Provides: ml_z_fdiv
//Requires: pp_big, pp_small, caml_raise_zero_divide
function ml_z_fdiv(a, b) {
  var x = pp_big(a), y = pp_big(b);
  if (y == 0) caml_raise_zero_divide();
  var q = x / y;
  return pp_small(x % y != 0 && x < 0 !== y < 0 ? q - BigInt(1) : q);
}
//Provides: ml_z_cdiv
//Requires: pp_big, pp_small, caml_raise_zero_divide
function ml_z_cdiv(a, b) {
  var x = pp_big(a), y = pp_big(b);
  if (y == 0) caml_raise_zero_divide();
  var q = x / y;
  return pp_small(x % y != 0 && x < 0 === y < 0 ? q + BigInt(1) : q);
}
// Newton's method from above
//Provides: ml_z_sqrt
//Requires: pp_big, pp_small, caml_invalid_argument
function ml_z_sqrt(a) {
  var n = pp_big(a);
  if (n < 0) caml_invalid_argument("Z.sqrt: square root of a negative number");
  if (n < 2) return pp_small(n);
  var x = BigInt(1) << BigInt(2 * n.toString(16).length);
  for (;;) {
    var y = (x + n / x) >> BigInt(1);
    if (y >= x) return pp_small(x);
    x = y;
  }
}
//Provides: ml_z_of_substring_base
//Requires: pp_small, caml_jsbytes_of_string, caml_invalid_argument
function ml_z_of_substring_base(base, text, from, length) {
  var t = caml_jsbytes_of_string(text).substr(from, length);
  if (!/^-?[0-9]+$/.test(t)) caml_invalid_argument("Z.of_substring_base: invalid digit");
  return pp_small(t.charAt(0) === "-" ? -BigInt(t.substr(1)) : BigInt(t));
}

// what only the reader of model files uses
//Provides: ml_z_shift_right
//Requires: pp_big, pp_small
function ml_z_shift_right(a, n) { return pp_small(pp_big(a) >> BigInt(n)); }
//Provides: ml_z_rem
//Requires: ml_z_div_rem
function ml_z_rem(a, b) { return ml_z_div_rem(a, b)[2]; }
//Provides: ml_z_logor
//Requires: pp_big, pp_small
function ml_z_logor(a, b) { return pp_small(pp_big(a) | pp_big(b)); }
//Provides: ml_z_numbits
//Requires: pp_big, ml_z_abs
function ml_z_numbits(a) { return a == 0 ? 0 : pp_big(ml_z_abs(a)).toString(2).length; }
//Provides: ml_z_perfect_square
//Requires: ml_z_sqrt, ml_z_mul, ml_z_equal
function ml_z_perfect_square(a) { return a < 0 ? 0 : ml_z_equal(ml_z_mul(ml_z_sqrt(a), ml_z_sqrt(a)), a); }
//Provides: ml_z_invert
//Requires: pp_big, pp_small, ml_z_abs, caml_raise_zero_divide
function ml_z_invert(a, m) {
  var n = pp_big(ml_z_abs(m)), r = n, s = BigInt(0), t = BigInt(1);
  if (n == 0) caml_raise_zero_divide();
  var x = pp_big(a) % n;
  if (x < 0) x += n;
  while (x != 0) {
    var q = r / x, y = r % x, u = s - q * t;
    r = x; x = y; s = t; t = u;
  }
  if (r != 1) caml_raise_zero_divide();
  s %= n;
  return pp_small(s < 0 ? s + n : s);
}
//Provides: ml_z_fits_int
function ml_z_fits_int(a) { return a >= -0x80000000 && a <= 0x7fffffff ? 1 : 0; }
//Provides: ml_z_to_int
//Requires: ml_z_fits_int, caml_failwith
function ml_z_to_int(a) {
  if (!ml_z_fits_int(a)) caml_failwith("Z.to_int: overflow");
  return Number(a);
}
//Provides: ml_z_to_int64
//Requires: pp_big, caml_int64_create_lo_mi_hi, caml_failwith
function ml_z_to_int64(a) {
  var x = BigInt.asUintN(64, pp_big(a));
  if (BigInt.asIntN(64, x) != a) caml_failwith("Z.to_int64: overflow");
  return caml_int64_create_lo_mi_hi(
    Number(x & BigInt(0xffffff)), Number((x >> BigInt(24)) & BigInt(0xffffff)), Number(x >> BigInt(48)));
}
//Provides: ml_z_of_float
//Requires: pp_small, caml_failwith
function ml_z_of_float(x) {
  if (!isFinite(x)) caml_failwith("Z.of_float: overflow");
  return pp_small(BigInt(Math.trunc(x)));
}
//Provides: ml_z_format
//Requires: pp_big, caml_jsbytes_of_string, caml_string_of_jsbytes, caml_invalid_argument
function ml_z_format(format, a) {
  if (caml_jsbytes_of_string(format) !== "%d") caml_invalid_argument("Z.format: format not supported");
  return caml_string_of_jsbytes(pp_big(a).toString());
}

//Provides: protoproof_offer
//Requires: caml_call_gen, caml_string_of_jsbytes, caml_string_of_array, caml_jsbytes_of_string
//Requires: caml_jsstring_of_string
function protoproof_offer(name, f) {
  var offered = globalThis.protoproofKernel || (globalThis.protoproofKernel = {});
  offered[caml_jsstring_of_string(name)] = function () {
    var given = [];
    for (var i = 0; i < arguments.length; i++) {
      var one = arguments[i];
      given.push(typeof one === "string" ? caml_string_of_jsbytes(one) : caml_string_of_array(one));
    }
    return caml_jsbytes_of_string(caml_call_gen(f, given));
  };
  return 0;
}
