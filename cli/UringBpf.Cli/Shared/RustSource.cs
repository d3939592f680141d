namespace UringBpf.Cli;

/// <summary>Hooks in Rust, which other tools make objects of.</summary>
internal static class RustSource
{
    public static bool Is(string file) => file.EndsWith(".rs", StringComparison.Ordinal);

    /// <summary>What makes an object of a source.</summary>
    public static string Help(string file) =>
        "rustc makes bitcode of it (--target bpfel-unknown-none --emit llvm-bc), and a clang that has rustc's version of LLVM the object "
        + "(clang -O2 -target bpfel -mcpu=v3 -x ir -c); both commands in full are at the head of uring_bpf.rs and in docs/hooks.md, 'In Rust'. "
        + $"Then 'uringbpf build {Path.ChangeExtension(file, ".o")}' verifies the object and writes its class.";
}
