// The verifier's number: 64 bits with a 32-bit low half.
global using Scalar = UringBpf.Verifier.ScalarOf<UringBpf.Verifier.Bits64, UringBpf.Verifier.Bits32>;
