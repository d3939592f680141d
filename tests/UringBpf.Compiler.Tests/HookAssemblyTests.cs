using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Hooks as assemblies: saved, loaded, bound to maps, run.</summary>
public sealed class HookAssemblyTests
{
    [Theory]
    [InlineData(1500)]
    [InlineData(64)]
    public void SavedProgramsDoWhatCompiledOnesDo(int regionInstructions)
    {
        var options = CompilerOptions.Default with { RegionInstructions = regionInstructions };
        for (var seed = 0; seed < 40; seed++)
        {
            var program = new RandomPrograms(seed).Make(seed % 10 == 0 ? 300 : 40, seed % 2 == 0 ? Termination.Proved : Termination.Metered);
            using var saved = Load(program, MapSet.Empty, options);
            using var compiled = ProgramCompiler.Compile(program, MapSet.Empty, options);
            var first = new byte[RandomPrograms.ContextBytes];
            new Random(seed).NextBytes(first);
            var second = (byte[])first.Clone();
            Assert.Equal(compiled.Run(first), saved.Run(second));
            Assert.Equal(first, second);
        }
    }

    [Fact]
    public void MapsAndCallbacksAreBoundWhenLoaded()
    {
        var counts = new MapSpec { Name = "counts", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 4 };
        // bpf_loop(10, f, 0, 0); r0 = counts[0].  f: counts[0] += 1.
        var program = TestPrograms.Trusted(
        [
            new(0xb7, 1, immediate: 10), new(0x18, 2, 4, 0, 8), new(), new(0xb7, 3), new(0xb7, 4), new(0x85, immediate: 181),
            new(0x18, 1, 6), new(), new(0x79, 0, 1), new(0x95),
            new(0x18, 1, 6), new(), new(0x79, 2, 1), new(0x07, 2, immediate: 1), new(0x7b, 1, 2), new(0xb7, 0), new(0x95),
        ], null, maps: [counts], subprograms: [new("main", 0, 10), new("f", 10, 7)]);
        using var maps = MapSet.Create([counts]);
        var assembly = LoadAssembly(program, CompilerOptions.Default);
        // Without its maps it is not bound, and can still be.
        Assert.Throws<KeyNotFoundException>(() => HookAssembly.Load(assembly, program, MapSet.Empty));
        var disposed = MapSet.Create([counts]);
        disposed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => HookAssembly.Load(assembly, program, disposed));
        using var loaded = HookAssembly.Load(assembly, program, maps);
        Assert.Equal(10ul, loaded.Run([]));
        Assert.Equal(20ul, loaded.Run([]));
    }

    [Fact]
    public void SavedMethodsHaveRoomForWhatIsOnTheirStacks()
    {
        var options = CompilerOptions.Default with { RegionInstructions = 64 };
        for (var seed = 0; seed < 20; seed++)
        {
            var program = new RandomPrograms(seed).Make(seed % 10 == 0 ? 300 : 40);
            var recorded = RecordedCode.Create(new ProgramGraph(program, FunctionRegistry.BuiltIn, options), options);
            var parameters = recorded.Methods.ToDictionary(method => method.Name, method => (IReadOnlyList<Type>)method.Parameters);
            var depths = recorded.Methods.Select(method => IlChecker.Check(method.Code.Instructions, method.Code.Locals, method.Parameters, symbol => parameters[symbol]));
            var saved = LoadAssembly(program, options).GetTypes().Single().GetMethods().Where(method => method.IsStatic).OrderBy(method => method.MetadataToken);
            Assert.All(depths.Zip(saved), method => Assert.True(method.Second.GetMethodBody()!.MaxStackSize >= method.First, $"seed {seed}: {method}"));
            Assert.Equal(recorded.Methods.Count, saved.Count());
        }
    }

    /// <summary>Nobody but the program holds its assembly in a context that can be unloaded: its code must not go while it can be run.</summary>
    [Fact]
    public void AProgramKeepsItsAssembly()
    {
        var assembly = LoadAndRun();
        for (var i = 0; i < 10 && assembly.IsAlive; i++) Settle();
        Assert.False(assembly.IsAlive, "the assembly is alive");

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference LoadAndRun()
        {
            using var program = LoadAlone(out var assembly);
            for (var i = 0; i < 10; i++) Settle();
            // Looked at first: a run of code that is gone ends the process.
            Assert.True(assembly.IsAlive, "the assembly was unloaded");
            Assert.Equal(42ul, program.Run([]));
            return assembly;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static BpfProgram LoadAlone(out WeakReference reference)
        {
            var program = TestPrograms.Trusted(new Instruction(0xb7, immediate: 42), new Instruction(0x95));
            var assembly = LoadAssembly(program, CompilerOptions.Default);
            reference = new WeakReference(assembly);
            return HookAssembly.Load(assembly, program, MapSet.Empty);
        }

        static void Settle()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    [Fact]
    public void OtherProgramsAndSecondBindingsAreRefused()
    {
        var program = TestPrograms.Trusted(new Instruction(0xb7, immediate: 1), new Instruction(0x95));
        var other = TestPrograms.Trusted(new Instruction(0xb7, immediate: 2), new Instruction(0x95));
        var assembly = LoadAssembly(program, CompilerOptions.Default);
        Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(assembly, other, MapSet.Empty)).Code);
        HookAssembly.Load(assembly, program, MapSet.Empty).Dispose();
        Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(assembly, program, MapSet.Empty)).Code);
        Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(typeof(string).Assembly, program, MapSet.Empty)).Code);
    }

    /// <summary>Code for one content of constant data leaves out checks that another content needs.</summary>
    [Fact]
    public void ProgramsVerifiedWithOtherConstantsAreRefused()
    {
        var (small, large) = (WithLimit(4), WithLimit(100));
        var assembly = LoadAssembly(small, CompilerOptions.Default);
        using var maps = MapSet.Create(large.Spec.Maps);
        Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(assembly, large, maps)).Code);
        using var own = MapSet.Create(small.Spec.Maps);
        // An index beyond the table.
        Assert.Equal(9ul, HookAssembly.Load(assembly, small, own).Run([50, 0, 0, 0]));

        static VerifiedProgram WithLimit(int limit)
        {
            MapSpec[] maps =
            [
                new() { Name = ".rodata", Type = MapType.Array, KeySize = 4, ValueSize = 4, MaxEntries = 1, IsFrozen = true, InitialValue = [.. BitConverter.GetBytes(limit)] },
                new() { Name = "table", Type = MapType.Array, KeySize = 4, ValueSize = 64, MaxEntries = 1 },
            ];
            const string text = """
                r6 = map_val(.rodata) + 0 ll
                r6 = *(u32 *)(r6 + 0)
                r7 = *(u32 *)(r1 + 0)
                r0 = 9
                if r6 > 8 goto out
                if r7 >= r6 goto out
                r7 <<= 3
                r1 = map_val(table) + 0 ll
                r1 += r7
                r0 = *(u64 *)(r1 + 0)
                out: exit
                """;
            return Verifier.ProgramVerifier.VerifyOrThrow(
                new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = Assembler.Assemble(text, maps), Maps = [.. maps] }, new() { ContextSize = 4 });
        }
    }

    [Fact]
    public void ProgramsVerifiedForOtherContextsAreRefused()
    {
        var code = Assembler.Assemble("r0 = 0\nif r2 >= 64 goto out\nr0 = 1\nout: exit");
        var (large, small) = (Verified(64), Verified(8));
        Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(LoadAssembly(large, CompilerOptions.Default), small, MapSet.Empty)).Code);
        using var program = Load(small, MapSet.Empty, CompilerOptions.Default);
        Assert.Equal(1ul, program.Run(new byte[8]));

        VerifiedProgram Verified(int size) => Verifier.ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = code }, new() { ContextSize = size });
    }

    /// <summary>Code holds the host's offsets of context fields: a program type that has changed since needs other code.</summary>
    [Fact]
    public void ProgramsOfATypeThatChangedAreRefused()
    {
        var code = Assembler.Assemble("r0 = *(u32 *)(r1 + 12)\nexit");
        var (old, changed) = (Verified(At(56)), Verified(At(48)));
        var assembly = LoadAssembly(old, CompilerOptions.Default);
        Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(assembly, changed, MapSet.Empty)).Code);
        HookAssembly.Load(assembly, Verified(At(56)), MapSet.Empty).Dispose();

        VerifiedProgram Verified(ProgramType type) => Verifier.ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "test", Type = type, Instructions = code });

        // As the view of a packet, but for where the host has the last field.
        static ProgramType At(int hostOffset) => ProgramTypes.Xdp with
        {
            Context = ProgramTypes.Xdp.Context with
            {
                HostSize = 64,
                Fields = [.. ProgramTypes.Xdp.Context.Fields.Select(field => field.Offset == 12 ? field with { HostOffset = hostOffset } : field)],
            },
        };
    }

    /// <summary>Which code is called, and what it may rely on, depends on all of a map's declaration.</summary>
    [Fact]
    public void ProgramsForMapsDeclaredOtherwiseAreRefused()
    {
        var inner = new MapSpec { Name = "inner", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 4 };
        var maps = new MapSpec[]
        {
            new() { Name = "plain", Type = MapType.Array, KeySize = 4, ValueSize = 16, MaxEntries = 4 },
            new() { Name = "outer", Type = MapType.ArrayOfMaps, KeySize = 4, ValueSize = 4, MaxEntries = 4, InnerMap = inner },
            new() { Name = "bloom", Type = MapType.BloomFilter, ValueSize = 8, MaxEntries = 4 },
        };
        var assembly = LoadAssembly(Program(maps), CompilerOptions.Default);
        Func<MapSpec, MapSpec>[] changes =
        [
            map => map with { SpinLockOffset = map.Type == MapType.Array ? 4 : -1 },
            map => map with { IsFrozen = map.Type == MapType.Array },
            map => map with { Extra = map.Type == MapType.BloomFilter ? 3u : 0 },
            map => map.InnerMap is null ? map : map with { InnerMap = inner with { ValueSize = 16 } },
            map => map.InnerMap is null ? map : map with { InnerMap = inner with { MaxEntries = 2 } },
            map => map.InnerMap is null ? map : map with { InnerMap = inner with { SpinLockOffset = 0 } },
        ];
        foreach (var change in changes)
        {
            var other = Program([.. maps.Select(change)]);
            Assert.Equal("UB3005", Assert.Throws<BpfException>(() => HookAssembly.Load(assembly, other, MapSet.Empty)).Code);
        }
        using var own = MapSet.Create(maps);
        HookAssembly.Load(assembly, Program(maps), own).Dispose();

        static VerifiedProgram Program(MapSpec[] maps) => TestPrograms.Trusted([new(0xb7), new(0x95)], null, maps: maps);
    }

    /// <summary>A program's name is whatever its symbol says, and names of types have a grammar of their own.</summary>
    [Theory]
    [InlineData("a.b")]
    [InlineData("_ZN4hook4main17h0123456789abcdefE.llvm.42")]
    [InlineData("a+b")]
    [InlineData("a,b")]
    [InlineData("a&")]
    [InlineData("a*")]
    [InlineData("a[]")]
    [InlineData("a[[b]]")]
    [InlineData("a`1")]
    [InlineData("a\\")]
    [InlineData("a\\+b")]
    [InlineData(" a ")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("ä→ö")]
    public void AnyNameCanBeSavedAndLoaded(string name)
    {
        var program = Named(name);
        using var loaded = Load(program, MapSet.Empty, CompilerOptions.Default);
        Assert.Equal(7ul, loaded.Run([]));
        using var stream = new MemoryStream();
        HookAssembly.Save([Named("a"), Named("a,b"), Named("a+b"), Named("a.b")], "hooks", stream);
    }

    [Fact]
    public void ALongNameCanBeSavedAndLoaded()
    {
        using var loaded = Load(Named(new string('n', 5000)), MapSet.Empty, CompilerOptions.Default);
        Assert.Equal(7ul, loaded.Run([]));
    }

    private static VerifiedProgram Named(string name) =>
        Verifier.ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = name, Type = ProgramTypes.Raw, Instructions = [new(0xb7, immediate: 7), new(0x95)] });

    [Fact]
    public void AFunctionThatIsNotPublicCanNotBeSaved()
    {
        var prototype = new FunctionPrototype { Name = "hidden", Id = 0x10001, Kind = FunctionKind.Helper };
        var registry = FunctionRegistry.BuiltIn.With(prototype, typeof(HookAssemblyTests).GetMethod(nameof(Hidden), System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static)!);
        var program = TestPrograms.Trusted([new(0x85, immediate: 0x10001), new(0x95)], null, functions: registry.Prototypes);
        var options = CompilerOptions.Default with { Functions = registry };
        Assert.Equal("UB3004", Assert.Throws<BpfException>(() => LoadAssembly(program, options)).Code);
        // In memory it runs; without the registry it has no code.
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty, options);
        Assert.Equal(77ul, compiled.Run([]));
        Assert.Equal("UB3002", Assert.Throws<BpfException>(() => ProgramCompiler.Compile(program, MapSet.Empty)).Code);
    }

    private static ulong Hidden() => 77;

    private static BpfProgram Load(VerifiedProgram program, MapSet maps, CompilerOptions options) => HookAssembly.Load(LoadAssembly(program, options), program, maps);

    private static System.Reflection.Assembly LoadAssembly(VerifiedProgram program, CompilerOptions options)
    {
        using var stream = new MemoryStream();
        HookAssembly.Save([program], "hooks", stream, options);
        stream.Position = 0;
        return new SharedLibraries().LoadFromStream(stream);
    }

    // Each file in a context of its own, on the libraries the test runs on.
    private sealed class SharedLibraries() : AssemblyLoadContext(isCollectible: true);
}
