using System.Collections.Immutable;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf;

/// <summary>What the verifier said of one program.</summary>
/// <param name="Program">The program.</param>
/// <param name="Result">The verdict; null when its section stands for no program type.</param>
public sealed record ProgramVerdict(ProgramSpec Program, VerificationResult? Result)
{
    /// <summary>True when the program is safe to run.</summary>
    public bool Accepted => Result is { Accepted: true };
}

/// <summary>
/// From bytes to programs that run, in one call: load, verify, create maps, compile. All or nothing: when anything is wrong
/// with an object, nothing of it stays behind. Thread-safe.
/// </summary>
/// <example><code>
/// using var hook = BpfEngine.Default.Load(File.ReadAllBytes("hook.bpf.o"), "hook.bpf.o");
/// await using var ring = Ring.Create();
/// await using var link = ring.Attach(hook["on_read"], new Grants { Paths = ["/etc/hostname"] });
/// </code></example>
/// <param name="options">null for <see cref="BpfEngineOptions.Default"/>.</param>
public sealed class BpfEngine(BpfEngineOptions? options = null)
{
    /// <summary>An engine with the defaults.</summary>
    public static BpfEngine Default { get; } = new();

    /// <summary>How this engine treats objects.</summary>
    public BpfEngineOptions Options { get; } = options ?? BpfEngineOptions.Default;

    /// <summary>Loads an object from a file.</summary>
    /// <param name="path">The object, as clang wrote it.</param>
    /// <param name="configure">Sets global variables before the programs are verified; null for none.</param>
    /// <exception cref="BpfException">As for <see cref="Load(ObjectSpec)"/>; UB10xx, UB12xx or UB13xx when the file is no such object.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public BpfObject LoadFile(string path, Func<ObjectSpec, ObjectSpec>? configure = null) => Load(File.ReadAllBytes(path), path, configure);

    /// <summary>Loads an object from its bytes.</summary>
    /// <param name="bytes">The whole file, as clang wrote it.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <param name="configure">Sets global variables before the programs are verified; null for none.</param>
    /// <exception cref="BpfException">As for <see cref="Load(ObjectSpec)"/>; UB10xx, UB12xx or UB13xx when the bytes are no such object.</exception>
    public BpfObject Load(ReadOnlySpan<byte> bytes, string fileName = "", Func<ObjectSpec, ObjectSpec>? configure = null)
    {
        var spec = ObjectSpec.Load(bytes, fileName, Options.Loading);
        return Load(configure == null ? spec : configure(spec));
    }

    /// <summary>Verifies every program of an object, creates its maps and compiles the programs.</summary>
    /// <exception cref="BpfRejectedException">UB2xxx: the verifier rejected a program.</exception>
    /// <exception cref="BpfException">UB4004 when a program's section stands for no program type; UB41xx when a map can't be
    /// created; UB3xxx when the compiler fails.</exception>
    public BpfObject Load(ObjectSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var verified = spec.Programs.Select(Verify).ToImmutableArray();
        var maps = MapSet.Create(spec.Maps);
        var programs = ImmutableArray.CreateBuilder<BpfProgram>(verified.Length);
        try
        {
            foreach (var program in verified) programs.Add(ProgramCompiler.Compile(program, maps, Options.Compiler));
            FillProgramArrays(spec, maps, programs);
        }
        catch
        {
            foreach (var program in programs) program.Dispose();
            maps.Dispose();
            throw;
        }
        return new BpfObject(spec, maps, programs.MoveToImmutable());
    }

    /// <summary>Says of each program whether it is safe, without creating anything.</summary>
    public ImmutableArray<ProgramVerdict> Examine(ObjectSpec spec) =>
        [.. spec.Programs.Select(program => new ProgramVerdict(program, program.Type == null ? null : ProgramVerifier.Verify(program, Options.Verifier)))];

    /// <summary>Proves one program safe.</summary>
    /// <exception cref="BpfRejectedException">UB2xxx: the verifier rejected it.</exception>
    /// <exception cref="BpfException">UB4004 when its section stands for no program type.</exception>
    public VerifiedProgram Verify(ProgramSpec program)
    {
        if (program.Type == null)
            throw new BpfException("UB4004", $"program '{program.Name}' is in section '{program.Section}', which stands for no program type.");
        var result = ProgramVerifier.Verify(program, Options.Verifier);
        if (result.Program is { } verified) return verified;
        throw new BpfRejectedException(program, WitnessRunner.Confirm(program, result.Rejection!, Options.Verifier.ContextSize));
    }

    // Program arrays whose object names their entries in '.values'.
    private static void FillProgramArrays(ObjectSpec spec, MapSet maps, ImmutableArray<BpfProgram>.Builder programs)
    {
        foreach (var array in maps.All.OfType<ProgramArrayMap>())
        {
            foreach (var (index, name) in array.Spec.InitialEntries)
                array.Set(index, programs[spec.Programs.IndexOf(spec.Program(name))]);
        }
    }
}
