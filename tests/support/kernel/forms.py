"""Small heads in the ways in which graphs write them: text, constants, and what they are.

The latent ``z`` is the input itself, ``y`` the output; ``L`` = 4 places, ``D`` = 3, ``P`` = 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_graph

RNG = np.random.default_rng(5)
P = RNG.normal(0, 1, (4, 3)).astype(np.float32)
W = RNG.normal(0, 1, (3, 4)).astype(np.float32)
B = RNG.normal(0, 1, 3).astype(np.float32)
SCALES = RNG.uniform(0.5, 2, (4, 3)).astype(np.float32)
FOLDED = (P.astype(np.float64) ** 2).sum(1).astype(np.float32)
IMAGE = (1, 3, 2, 2)


@dataclass(frozen=True)
class Small:
    """A graph and the normal form that is expected: geometry, poolings, decision.

    ``ratio``: whether scores have a common denominator, another one at every latent.
    """

    nodes: str
    expected: tuple[str, tuple[str, ...], str]
    constants: dict[str, Any]
    shape: tuple[int, ...] = IMAGE
    opset: int = 18
    ratio: bool = False

    def model(self) -> onnx.ModelProto:
        graph = parse_graph(f"g (float[1] z) => (float[1] y) {{ {self.nodes} }}")
        del graph.input[:], graph.output[:]
        value = helper.make_tensor_value_info
        graph.input.append(value("z", TensorProto.FLOAT, self.shape))
        graph.output.append(value("y", TensorProto.FLOAT, None))
        for name, values in self.constants.items():
            graph.initializer.append(numpy_helper.from_array(stored(values), name))
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def stored(values: Any) -> NDArray[Any]:
    """Floats as float32, integers as int64."""
    array = np.asarray(values)
    return array.astype(np.int64 if array.dtype.kind == "i" else np.float32)


WIDE = RNG.normal(0, 1, (4, 3, 2, 1)).astype(np.float32)
CONV = P[:, :, None, None]
LINEAR = {"w": W, "bias": B}
AXES = {
    "axis1": [1],
    "axis2": [2],
    "places": [2, 3],
    "last": [-1],
    "rows": [1, 4],
    "flat": [1, 4, -1],
}
COMMON: dict[str, Any] = {
    **LINEAR, **AXES, "conv": CONV, "ones": np.ones((4, 3, 1, 1)), "two": 2.0, "minus": -2.0,
    "one": 1.0, "eps": 1e-4, "half": 0.5, "folded": FOLDED[:, None, None], "tiny": 1e-12,
    "p": P, "p_turned": P.T, "w_turned": W.T, "zero": 0.0, "three": 3.0,
    "scales": SCALES[None, :, :, None],
}  # fmt: skip
EXPANDED = """
    z2 = Pow(z, two) zn = Conv(z2, ones) zp = Conv(z, conv) t = Mul(zp, minus)
    s = Add(t, folded) q = Add(zn, s) d = Relu(q)"""
EXACT = """
    z2 = Mul(z, z) zn = ReduceSum<keepdims=1>(z2, axis1) zp = Conv(z, conv) t = Mul(zp, two)
    p2 = Mul(conv, conv) pn = ReduceSum<keepdims=1>(p2, axis1) pt = Transpose<perm=[1,0,2,3]>(pn)
    s = Sub(zn, t) q = Add(s, pt) d = Relu(q)"""
NEAREST = """
    n = Neg(d) mx = MaxPool<kernel_shape=[2,2], strides=[2,2]>(n) mn = Neg(mx)
    m = Reshape(mn, rows)"""
LOGGED = "above = Add(m, one) below = Add(m, eps) r = Div(above, below) a = Log(r)"
DENSE = "y = Gemm<transB=1>(a, w, bias)"
PLAIN = "n = Neg(d) mx = GlobalMaxPool(n) a = Flatten(mx)"
COSINE_AFTER = """
    zp = Conv(z, conv) z2 = Mul(z, z) zs = ReduceSum<keepdims=1>(z2, axis1)
    zl = Sqrt(zs) zc = Clip(zl, eps) c = Div(zp, zc) d = Neg(c)"""
NORMED = "ps = ReduceL2<keepdims=1>(p, axis1) pu = Div(p, ps)"
FLAT = "zr = Reshape(z, flat3) zt = Transpose<perm=[0,2,1]>(zr)"
TREE = """
    n0 = Neg(m) route = Exp(n0) s0, s1, s2, s3 = Split<axis=1, num_outputs=4>(route)
    o0 = Sub(one, s0) o1 = Sub(one, s1) o2 = Sub(one, s2)
    a1 = Mul(o1, l0) b1 = Mul(s1, l1) left = Add(a1, b1)
    a2 = Mul(o2, l2) b2 = Mul(s2, l3) right = Add(a2, b2)
    a0 = Mul(o0, left) b0 = Mul(s0, right) y = Add(a0, b0)"""
LEAVES = {f"l{k}": RNG.dirichlet([1, 1, 1])[None] for k in range(4)}


def _small(nodes: str, geometry: str, pooling: str, decision: str = "linear", **more: Any) -> Small:
    shape, opset = more.pop("shape", IMAGE), more.pop("opset", 18)
    ratio = more.pop("ratio", False)
    kinds = tuple(sorted(pooling.split(", ")))
    return Small(nodes, (geometry, kinds, decision), {**COMMON, **more}, shape, opset, ratio)


FORMS: dict[str, Small] = {
    "expanded, folded": _small(EXPANDED + NEAREST + LOGGED + DENSE, "euclidean", "nearest"),
    "expanded, exact": _small(EXACT + NEAREST + LOGGED + DENSE, "euclidean", "nearest"),
    "direct": _small(
        "u = Unsqueeze(z, axis1) s = Sub(u, conv1) q = Mul(s, s) "
        "d = ReduceSum<keepdims=0>(q, axis2)" + NEAREST + "e = Div(m, half) g = Neg(e) a = Exp(g)"
        + DENSE, "euclidean", "nearest", conv1=P[None, :, :, None, None],
    ),
    "written-out cdist": _small(
        "z0 = Reshape(z, flat3) zt = Transpose<perm=[0,2,1]>(z0) z2 = Mul(zt, zt) "
        "zn = ReduceSum<keepdims=1>(z2, last) zm = Mul(zt, minus) "
        "j = Concat<axis=-1>(zm, zn, ones4) q = MatMul(j, joined) c = Clip(q, zero) "
        "e = Sqrt(c) f = Pow(e, two) mn = ReduceMin<keepdims=0>(f, axis1) a = Neg(mn)" + DENSE,
        "euclidean", "nearest", flat3=[1, 3, 4], ones4=np.ones((1, 4, 1)),
        joined=np.concatenate([P, np.ones((4, 1)), FOLDED[:, None]], 1).T,
    ),
    "reduce min, reciprocal": _small(
        EXACT + "m = ReduceMin<keepdims=0>(d, places) e = Add(m, one) a = Div(one, e)" + DENSE,
        "euclidean", "nearest",
    ),
    "similarity before pooling": _small(
        EXACT + "above = Add(d, one) below = Add(d, eps) r = Div(above, below) g = Log(r) "
        "mx = GlobalMaxPool(g) a = Flatten(mx)" + DENSE, "euclidean", "nearest",
    ),
    "mean of the two largest": _small(
        EXACT + "above = Add(d, one) below = Add(d, eps) r = Div(above, below) g = Log(r) "
        "h = Reshape(g, flat) v, i = TopK(h, k2) a = ReduceMean<keepdims=0>(v, last)" + DENSE,
        "euclidean", "k-largest mean", k2=[2],
    ),
    "mean and nearest": _small(
        EXACT + NEAREST + "f = Reciprocal(above) above = Add(m, one) av = GlobalAveragePool(d) "
        "ar = Reshape(av, rows) ab = Add(ar, one) ad = Reciprocal(ab) a = Sub(f, ad)".replace(
            "f = Reciprocal(above) above = Add(m, one)", "above = Add(m, one) f = Reciprocal(above)"
        ) + DENSE, "euclidean", "nearest less mean",
    ),
    "mean and nearest, weighed apart": _small(
        EXACT + NEAREST + "above = Add(m, one) f = Reciprocal(above) av = GlobalAveragePool(d) "
        "ar = Reshape(av, rows) ab = Add(ar, one) ad = Reciprocal(ab) "
        "s1 = Gemm<transB=1>(f, w, bias) s2 = Gemm<transB=1>(ad, w) y = Sub(s1, s2)",
        "euclidean", "nearest less mean",
    ),
    "nearest less twice the mean": _small(
        EXACT + NEAREST + "above = Add(m, one) f = Reciprocal(above) av = GlobalAveragePool(d) "
        "ar = Reshape(av, rows) ab = Add(ar, one) ad = Reciprocal(ab) "
        "s1 = Gemm<transB=1>(f, w, bias) s2 = Gemm<transB=1>(ad, twice) y = Sub(s1, s2)",
        "euclidean", "mean, nearest", twice=2 * W,
    ),
    "nearest less another function of the mean": _small(
        EXACT + NEAREST + "above = Add(m, one) f = Reciprocal(above) av = GlobalAveragePool(d) "
        "ar = Reshape(av, rows) ab = Add(ar, half) ad = Reciprocal(ab) a = Sub(f, ad)" + DENSE,
        "euclidean", "mean, nearest",
    ),
    "nearest less mean, and the nearest by itself": _small(
        EXACT + NEAREST + "above = Add(m, one) f = Reciprocal(above) av = GlobalAveragePool(d) "
        "ar = Reshape(av, rows) ab = Add(ar, one) ad = Reciprocal(ab) "
        "s1 = Gemm<transB=1>(f, w, bias) s2 = Gemm<transB=1>(ad, first) y = Sub(s1, s2)",
        "euclidean", "mean, nearest", first=W * np.array([1, 1, 1, 0]),
    ),
    "dissimilarities, mean less nearest": _small(
        EXACT + NEAREST + "f = Sqrt(m) av = GlobalAveragePool(d) ar = Reshape(av, rows) "
        "ad = Sqrt(ar) a = Sub(ad, f)" + DENSE, "euclidean", "nearest less mean",
    ),
    "focal, weighed apart": _small(
        EXACT + "n = Neg(d) g = Exp(n) mx = GlobalMaxPool(g) av = GlobalAveragePool(g) "
        "mr = Reshape(mx, rows) ar = Reshape(av, rows) s1 = Gemm<transB=1>(mr, w, bias) "
        "s2 = Gemm<transB=1>(ar, w) y = Sub(s1, s2)", "euclidean", "focal",
    ),
    "focal": _small(
        EXACT + "n = Neg(d) g = Exp(n) mx = GlobalMaxPool(g) av = GlobalAveragePool(g) "
        "f = Sub(mx, av) a = Reshape(f, rows)" + DENSE, "euclidean", "focal",
    ),
    "diagonal": _small(
        "z0 = Reshape(z, flat4) s = Sub(z0, centre) q = Pow(s, two) v = Mul(q, scales) "
        "d4 = ReduceSum<keepdims=0>(v, axis2) m = ReduceMin<keepdims=0>(d4, last) "
        + LOGGED + DENSE,
        "diagonal", "nearest", flat4=[1, 1, 3, 4], centre=P[None, :, :, None],
    ),
    "projection": _small(
        NORMED + "k = Reshape(pu, kernel) d = Conv(z, k) mx = GlobalMaxPool(d) a = Flatten(mx)"
        + DENSE, "linear", "nearest", kernel=[4, 3, 1, 1],
    ),
    "cosine, norm divided after": _small(
        COSINE_AFTER + PLAIN + DENSE, "angular", "nearest",
    ),
    "cosine, normalised before": _small(
        "zl = ReduceL2<keepdims=1>(z, axis1) zc = Clip(zl, tiny) u = Div(z, zc) "
        "d = Conv(u, conv) e = Relu(d) mx = GlobalMaxPool(e) a = Flatten(mx)" + DENSE,
        "angular", "nearest",
    ),
    "an addend under the root": _small(
        "z2 = Mul(z, z) zs = ReduceSum<keepdims=1>(z2, axis1) zi = Add(zs, eps) zl = Sqrt(zi) "
        "u = Div(z, zl) d = Conv(u, conv) mx = GlobalMaxPool(d) a = Flatten(mx)" + DENSE,
        "angular", "nearest",
    ),
    "LpNormalization": _small(
        "u = LpNormalization<axis=1, p=2>(z) d = Conv(u, conv) mx = GlobalMaxPool(d) "
        "a = Flatten(mx)" + DENSE, "angular", "nearest",
    ),
    "channels last": _small(
        "t = Reshape(z, nhwc) zp = MatMul(t, p_turned) z2 = Mul(t, t) "
        "zn = ReduceSum<keepdims=1>(z2, last) v = Mul(zp, two) s = Sub(zn, v) q = Add(s, norms) "
        "m = ReduceMin<keepdims=0>(q, axis1) a = Neg(m)" + DENSE, "euclidean", "nearest",
        shape=(1, 2, 2, 3), nhwc=[1, 4, 3], norms=FOLDED,
    ),
    "one vector, distances are logits": _small(
        "u = Unsqueeze(z, axis1) s = Sub(u, p) q = Mul(s, s) d = ReduceSum<keepdims=0>(q, last) "
        "y = Neg(d)", "euclidean", "nearest", shape=(1, 3),
    ),
    "the best of each class": _small(
        "u = Unsqueeze(z, axis1) s = Sub(u, p) q = Mul(s, s) d = ReduceSum<keepdims=0>(q, last) "
        "n = Neg(d) r = Reshape(n, pairs) y = ReduceMax<keepdims=0>(r, last)", "euclidean",
        "nearest", "best", shape=(1, 3), pairs=[1, 2, 2],
    ),
    "votes": _small(
        "u = Unsqueeze(z, axis1) s = Sub(u, p) q = Mul(s, s) d = ReduceSum<keepdims=0>(q, last) "
        "n = Neg(d) v = Softmax<axis=1>(n) y = MatMul(v, w_turned)", "euclidean", "nearest",
        shape=(1, 3), ratio=True,
    ),
    "own-class sums": _small(
        EXACT + NEAREST + "g = Neg(m) a = Exp(g) v = Mul(a, share) r = Reshape(v, pairs) "
        "y = ReduceSum<keepdims=0>(r, last)", "euclidean", "nearest", pairs=[1, 2, 2],
        share=np.array([0.25, 0.75, 0.5, 0.5]),
    ),
    "einsum": _small(
        EXACT + NEAREST + 'a = Neg(m) y = Einsum<equation="bp,kp->bk">(a, w)', "euclidean",
        "nearest",
    ),
    "tree": _small(EXACT + NEAREST + TREE, "euclidean", "nearest", "tree", **LEAVES),
    "a tree whose leaves are softmaxed": _small(
        EXACT + NEAREST + " ".join(f"l{k} = Softmax<axis=1>(raw{k})" for k in range(4)) + TREE,
        "euclidean", "nearest", "tree", **{f"raw{k}": v * 3 for k, v in enumerate(LEAVES.values())},
    ),
    "a tree with leaves at several depths": _small(
        EXACT + NEAREST + """
        n0 = Neg(m) route = Exp(n0) s0, s1, s2, s3 = Split<axis=1, num_outputs=4>(route)
        o0 = Sub(one, s0) o1 = Sub(one, s1) a1 = Mul(o1, l0) b1 = Mul(s1, l1) right = Add(a1, b1)
        a0 = Mul(o0, l2) b0 = Mul(s0, right) y = Add(a0, b0)""", "euclidean", "nearest", "tree",
        **LEAVES,
    ),
    "a scale that is an exponential": _small(
        EXACT + NEAREST + "e = Exp(logs) v = Mul(m, e) n3 = Neg(v) a = Exp(n3)" + DENSE,
        "euclidean", "nearest", logs=np.array([[0.3, -0.2, 0.1, 0.7]]),
    ),
    "lengths with two addends": _small(
        "ps = Mul(p, p) pn = ReduceSum<keepdims=1>(ps, axis1) pi = Add(pn, eps) pr = Sqrt(pi) "
        "pj = Add(pr, eps) pu = Div(p, pj) k = Reshape(pu, kernel) d = Conv(z, k) "
        "mx = GlobalMaxPool(d) a = Flatten(mx)" + DENSE, "linear", "nearest", kernel=[4, 3, 1, 1],
    ),
    "votes by inverse distance": _small(
        "u = Unsqueeze(z, axis1) s = Sub(u, p) q = Mul(s, s) d = ReduceSum<keepdims=0>(q, last) "
        "i = Add(d, eps) v = Reciprocal(i) top = MatMul(v, w_turned) "
        "under = ReduceSum<keepdims=1>(v, axis1) y = Div(top, under)", "euclidean", "nearest",
        shape=(1, 3), ratio=True,
    ),
    "windows of two by one": _small(
        "z2 = Mul(z, z) zn = Conv(z2, ones_wide) zp = Conv(z, wide) t = Mul(zp, minus) "
        "s = Add(t, norms_wide) d = Add(zn, s) n = Neg(d) mx = MaxPool<kernel_shape=[1,2]>(n) "
        "a = Flatten(mx)" + DENSE, "euclidean", "nearest", wide=WIDE,
        ones_wide=np.ones(WIDE.shape), norms_wide=(WIDE**2).sum((1, 2, 3))[:, None, None],
    ),
    "a jump": _small(
        NORMED + "k = Reshape(pu, kernel) d = Conv(z, k) mx = GlobalMaxPool(d) f = Flatten(mx) "
        "low = Less(f, half) a = Where(low, zero, f)" + DENSE, "linear", "nearest",
        kernel=[4, 3, 1, 1],
    ),
    "labels": _small(EXACT + NEAREST + LOGGED + "g = Gemm<transB=1>(a, w, bias) y = Sigmoid(g)",
                     "euclidean", "nearest", "labels"),
    "softmax and argmax behind": _small(
        EXACT + NEAREST + LOGGED + "g = Gemm<transB=1>(a, w, bias) y = Softmax<axis=1>(g)",
        "euclidean", "nearest",
    ),
    "opset 13, axes as attributes": _small(
        EXACT + "m = ReduceMin<axes=[2,3], keepdims=0>(d) e = Add(m, one) a = Reciprocal(e)"
        + DENSE, "euclidean", "nearest", opset=13,
    ),
    "split, concatenated again": _small(
        EXACT + NEAREST + "b, c = Split<axis=1>(m, sizes) f = Neg(c) g = Neg(b) "
        "a = Concat<axis=1>(f, g)" + DENSE, "euclidean", "nearest", sizes=[1, 3],
    ),
}  # fmt: skip
