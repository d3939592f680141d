using System.Text;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>One of perf/kernels: C source, committed object, and the input it works on.</summary>
internal sealed record Kernel(string Name, string Title)
{
    /// <summary>The thirteen kernels in the order of tables.</summary>
    public static IReadOnlyList<Kernel> All { get; } =
    [
        new("empty", "return 0"),
        new("xorshift", "xorshift mix ×1000"),
        new("fnv1a", "FNV-1a 1 KiB"),
        new("bytesum", "byte sum 4 KiB"),
        new("search", "binary search ×64"),
        new("sort", "sort 64"),
        new("parse", "branchy text parse 1 KiB"),
        new("muldiv", "mul/div/mod mix"),
        new("copy", "copy 4 KiB"),
        new("stack", "table on the BPF stack"),
        new("helpers", "100 helper calls"),
        new("calls", "100 BPF-to-BPF calls"),
        new("filter", "completion filter (64-byte record)"),
    ];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "kernels");

    /// <summary>The C source.</summary>
    public string Source => Path.Combine(Folder, Name + ".bpf.c");

    /// <summary>The committed bytecode.</summary>
    public string ObjectFile => Path.Combine(Folder, Name + ".bpf.o");

    /// <summary>The 4 KiB every engine's input is set to: the same in every process.</summary>
    public byte[] Input()
    {
        var input = new byte[4096];
        new Random(42).NextBytes(input);
        if (Name == "parse")
        {
            const string text = "GET /index_html 200 512 bytes in 37 ms\nfrom alpha7 to beta 1024 retry 3 times\n";
            Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(text, 60))[..input.Length]).CopyTo(input, 0);
        }
        if (Name == "filter")
        {
            // A record that passes the early checks, so that the whole filter runs.
            BitConverter.TryWriteBytes(input.AsSpan(8), 7u);
            BitConverter.TryWriteBytes(input.AsSpan(12), 0u);
            BitConverter.TryWriteBytes(input.AsSpan(16), 512ul * 9);
            BitConverter.TryWriteBytes(input.AsSpan(24), 4096u);
        }
        return input;
    }

    /// <summary>Loads and verifies the object's program and makes its maps.</summary>
    public (VerifiedProgram Program, MapSet Maps) Load()
    {
        var spec = ObjectSpec.Load(File.ReadAllBytes(ObjectFile), ObjectFile);
        var maps = MapSet.Create(spec.Maps);
        SetInput(spec, maps);
        return (ProgramVerifier.VerifyOrThrow(spec.Programs.Single()), maps);
    }

    /// <summary>Loads a program with the object's maps and the same input into the running kernel; null where bpf(2) refuses.</summary>
    /// <param name="program">The program.</param>
    /// <param name="functions">Where its functions start, and which of them are verified once.</param>
    public KernelBpf? LoadIntoKernel(ProgramSpec program, IReadOnlyList<(int Start, bool IsGlobal)> functions)
    {
        var spec = ObjectSpec.Load(File.ReadAllBytes(ObjectFile), ObjectFile);
        return KernelBpf.TryLoad(program.Instructions.AsSpan(), program.Maps, keys: 1, map =>
        {
            var value = new byte[map.ValueSize];
            map.InitialValue.AsSpan().CopyTo(value);
            if (spec.Globals.FirstOrDefault(global => global.Name == "input" && global.Map.Name == map.Name) is { } input) Input().CopyTo(value.AsSpan(input.Offset));
            return value;
        }, functions);
    }

    /// <summary>Sets the input of an object's maps.</summary>
    public unsafe void SetInput(ObjectSpec spec, MapSet maps)
    {
        if (spec.Globals.FirstOrDefault(global => global.Name == "input") is not { } input) return;
        Input().CopyTo(new Span<byte>(maps[input.Map].Header->Data + input.Offset, input.Size));
    }
}
