package function

import "math"

// Sine and cosine with the method of fdlibm, which Java's are made of, so that
// results agree to the last digit. Go's own differ in it now and then.
//
// After k_sin.c, k_cos.c and e_rem_pio2.c: Copyright (C) 1993 by Sun
// Microsystems, Inc. All rights reserved. Developed at SunPro, a Sun
// Microsystems, Inc. business. Permission to use, copy, modify, and distribute
// this software is freely granted, provided that this notice is preserved.

func sine(x float64) float64 {
	if math.Abs(x) > 1e5 {
		return math.Sin(x) // also NaN and Inf
	}
	hi, lo, quarter := reduce(x)
	switch quarter {
	case 0:
		return kernelSin(hi, lo)
	case 1:
		return kernelCos(hi, lo)
	case 2:
		return -kernelSin(hi, lo)
	}
	return -kernelCos(hi, lo)
}

func cosine(x float64) float64 {
	if math.Abs(x) > 1e5 {
		return math.Cos(x)
	}
	hi, lo, quarter := reduce(x)
	switch quarter {
	case 0:
		return kernelCos(hi, lo)
	case 1:
		return -kernelSin(hi, lo)
	case 2:
		return -kernelCos(hi, lo)
	}
	return kernelSin(hi, lo)
}

// reduce takes quarters of the circle off x; what is left is hi+lo, at most π/4.
func reduce(x float64) (hi, lo float64, quarter int) {
	if math.Abs(x) <= math.Pi/4 || math.IsNaN(x) {
		return x, 0, 0
	}
	n := math.RoundToEven(x * 6.36619772367581382433e-01)
	r := x - n*1.57079632673412561417e+00
	w := n * 6.07710050650619224932e-11
	hi = r - w
	if exponent(x)-exponent(hi) > 16 {
		t := r
		w = n * 6.07710050630396597660e-11
		r = t - w
		w = n*2.02226624879595063154e-21 - ((t - r) - w)
		if hi = r - w; exponent(x)-exponent(hi) > 49 {
			t = r
			w = n * 2.02226624871116645580e-21
			r = t - w
			w = n*8.47842766036889956997e-32 - ((t - r) - w)
			hi = r - w
		}
	}
	return hi, (r - hi) - w, int(n) & 3
}

func exponent(x float64) int { return int(math.Float64bits(x) >> 52 & 0x7ff) }

func kernelSin(x, y float64) float64 {
	z := x * x
	w := z * z
	r := 8.33333333332248946124e-03 + z*(-1.98412698298579493134e-04+z*2.75573137070700676789e-06) +
		z*w*(-2.50507602534068634195e-08+z*1.58969099521155010221e-10)
	v := z * x
	return x - ((z*(0.5*y-v*r) - y) - v*-1.66666666666666324348e-01)
}

func kernelCos(x, y float64) float64 {
	z := x * x
	w := z * z
	r := z*(4.16666666666666019037e-02+z*(-1.38888888888741095749e-03+z*2.48015872894767294178e-05)) +
		w*w*(-2.75573143513906633035e-07+z*(2.08757232129817482790e-09+z*-1.13596475577881948265e-11))
	half := 0.5 * z
	w = 1 - half
	return w + (((1 - w) - half) + (z*r - x*y))
}
