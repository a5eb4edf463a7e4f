// Package jsonarray turns JSON text into the bytes of an array and the bytes of an array into JSON text, so that
// neither has to be done in Python: what it reads is what numpy makes of the same text, what it writes is what
// Python's tolist and json.dumps make of the same array.
//
// Read [Decoder.Append] and [Encoder.Append] first. Numbers are little-endian and packed, in C order; dtypes have
// numpy's names. Text that is no array of the dtype, or an unusual one (ragged, out of range, a string, a null among
// integers, an integer with a point), is refused without a reason: the worker sees it as it came, knows the
// annotation, and words the error.
//
// It imports the standard library alone.
package jsonarray

// MaxDims bounds the dimensions of an array: numpy has no more.
const MaxDims = 64
