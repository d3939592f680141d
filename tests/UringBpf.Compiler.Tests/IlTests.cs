using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Compiler.Tests;

/// <summary>The IL of programs is well formed, and the checker that says so notices when it is not.</summary>
public sealed class IlTests
{
    [Fact]
    public void OfRandomProgramsWithEverySwitch()
    {
        for (var seed = 0; seed < 40; seed++)
        {
            var program = RandomProgram(seed);
            foreach (var (name, options) in OptimisationTests.Variants.Append(("straight", CompilerOptions.Straight))) Check(program, options, $"seed {seed}, {name}");
        }
    }

    [Fact]
    public void OfEveryCommittedObject()
    {
        var programs = 0;
        foreach (var file in Directory.EnumerateFiles(Repository.Root, "*.bpf.o", SearchOption.AllDirectories).Where(file => !file.Contains("/bin/", StringComparison.Ordinal)))
        {
            ObjectSpec spec;
            try
            {
                spec = ObjectSpec.Load(File.ReadAllBytes(file), file);
            }
            catch (BpfException)
            {
                // Objects that a test wants refused.
                continue;
            }
            foreach (var program in spec.Programs)
            {
                if (program.Type is null || ProgramVerifier.Verify(program).Program is not { } verified) continue;
                try
                {
                    foreach (var (name, options) in OptimisationTests.Variants.Append(("straight", CompilerOptions.Straight)).Append(("sites", CompilerOptions.Default with { RecordSites = true })))
                        Check(verified, options, $"{file}, {program.Name}, {name}");
                }
                catch (BpfException exception) when (exception.Code == "UB3002")
                {
                    // Calls functions of a host.
                    continue;
                }
                programs++;
            }
        }
        Assert.True(programs >= 90, $"{programs} programs");
    }

    /// <summary>Ways to break IL: each gives what an instruction is replaced by at a place where that must be noticed, or null.</summary>
    public static TheoryData<string> Breaks => new(s_breaks.Keys);

    private static readonly Dictionary<string, Func<Method, int, RecordedInstruction[]?>> s_breaks = new()
    {
        // A dropped pop, load, store, operation…: whatever changes the depth.
        ["an instruction is missing"] = (method, at) => Effect(method.Code[at]) != 0 ? [] : null,
        ["an instruction is there twice"] = (method, at) => Effect(method.Code[at]) != 0 && method.Code[at].OpCode != OpCodes.Ret ? [method.Code[at], method.Code[at]] : null,
        ["a value is 32 bits wide"] = (method, at) => !TakesOne(method, at + 1) ? null : method.Code[at].OpCode.Name switch
        {
            "conv.u8" or "conv.i8" => [method.Code[at] with { OpCode = OpCodes.Conv_U4 }],
            "ldind.i8" => [method.Code[at] with { OpCode = OpCodes.Ldind_U4 }],
            "ldc.i8" => [method.Code[at] with { OpCode = OpCodes.Ldc_I4, Operand = 1 }],
            _ => null,
        },
        ["a value is 64 bits wide"] = (method, at) => !TakesOne(method, at + 1) ? null : method.Code[at].OpCode.Name switch
        {
            "conv.u4" or "conv.i4" or "conv.u2" or "conv.i2" or "conv.u1" or "conv.i1" => [method.Code[at] with { OpCode = OpCodes.Conv_U8 }],
            "ldind.u1" or "ldind.u2" or "ldind.u4" or "ldind.i1" or "ldind.i2" or "ldind.i4" => [method.Code[at] with { OpCode = OpCodes.Ldind_I8 }],
            "ldc.i4" => [method.Code[at] with { OpCode = OpCodes.Ldc_I8, Operand = 1L }],
            _ => null,
        },
        ["a number is used as an address"] = (method, at) => method.Code[at].OpCode == OpCodes.Conv_U && method.Code[at + 1] is { Label: < 0, OpCode.Name: var next } && next!.StartsWith("ldind", StringComparison.Ordinal) ? [method.Code[at] with { OpCode = OpCodes.Conv_U8 }] : null,
        ["a store is of another width"] = (method, at) => method.Code[at].OpCode.Name switch
        {
            "stind.i8" => [method.Code[at] with { OpCode = OpCodes.Stind_I4 }],
            "stind.i1" or "stind.i2" or "stind.i4" => [method.Code[at] with { OpCode = OpCodes.Stind_I8 }],
            _ => null,
        },
        ["a store is to a local of another type"] = (method, at) =>
            method.Code[at] is { OpCode.Name: "stloc", Operand: LocalBuilder local } && method.Locals.FirstOrDefault(other => local.LocalType == typeof(ulong) ? other.LocalType == typeof(uint) : local.LocalType == typeof(uint) && other.LocalType == typeof(ulong)) is { } other
                ? [method.Code[at] with { Operand = other }] : null,
        ["a local is another method's"] = (method, at) => method.Code[at].Operand is LocalBuilder local ? [method.Code[at] with { Operand = new RecordedLocal(local.LocalIndex, local.LocalType, false) }] : null,
        ["an argument is not there"] = (method, at) => method.Code[at].OpCode == OpCodes.Ldarg ? [method.Code[at] with { Operand = method.Parameters.Count }] : null,
        ["a label is nowhere"] = (method, at) => method.IsTarget(at) ? [] : null,
        ["a label is there twice"] = (method, at) => method.Code[at].Label >= 0 ? [method.Code[at], method.Code[at]] : null,
        // Behind an instruction that leaves or takes a value: a branch to it comes with another depth than what falls through.
        ["a branch goes into another depth"] = (method, at) =>
            method.IsTarget(at) && at + 1 < method.Code.Count && method.Code[at + 1].Label < 0 && Effect(method.Code[at + 1]) != 0 && method.Code[at + 1].OpCode != OpCodes.Ret ? [method.Code[at + 1], method.Code[at]] : null,
        ["a branch comes with a value"] = (method, at) => method.Code[at].OpCode == OpCodes.Br ? [new(0, OpCodes.Ldc_I4, 1, -1), method.Code[at]] : null,
        ["a return has two values"] = (method, at) => method.Code[at].OpCode == OpCodes.Ret ? [new(0, OpCodes.Dup, null, -1), method.Code[at]] : null,
        ["code falls off its end"] = (method, at) => at == method.Code.Count - 1 ? [method.Code[at], new(0, OpCodes.Nop, null, method.Labels)] : null,
        ["code can not be reached"] = (method, at) => method.Code[at].OpCode == OpCodes.Ret ? [method.Code[at], new(0, OpCodes.Nop, null, -1)] : null,
        ["an operation is unknown"] = (method, at) => method.Code[at].OpCode == OpCodes.Add ? [method.Code[at] with { OpCode = OpCodes.Add_Ovf }] : null,
        ["a call has an argument less"] = (method, at) => method.Code[at] is { OpCode.Name: "call", Operand: System.Reflection.MethodInfo { Name: "SignedDivide64" or "Modulo64" or "Divide64" } }
            ? [method.Code[at] with { Operand = ((Func<ulong, ulong>)System.Numerics.BitOperations.RoundUpToPowerOf2).Method }] : null,
    };

    [Theory]
    [MemberData(nameof(Breaks))]
    public void TheCheckerNotices(string kind)
    {
        var places = 0;
        foreach (var (seed, options) in new[] { (0, CompilerOptions.Default), (1, CompilerOptions.Straight), (2, CompilerOptions.Default), (3, CompilerOptions.Straight), (20, CompilerOptions.Default with { RegionInstructions = 64 }) })
        {
            var recorded = RecordedCode.Create(new ProgramGraph(RandomProgram(seed), Runtime.FunctionRegistry.BuiltIn, options), options);
            var functions = recorded.Methods.ToDictionary(method => method.Name, method => (IReadOnlyList<Type>)method.Parameters);
            foreach (var (_, name, parameters, generator) in recorded.Methods)
            {
                var method = new Method(generator.Instructions, generator.Locals, parameters, symbol => functions[symbol]);
                method.Check(method.Code);
                for (var at = 0; at < method.Code.Count; at++)
                {
                    if (s_breaks[kind](method, at) is not { } replacement) continue;
                    // A label that is moved behind what follows it takes the place of both.
                    var replaced = replacement.Length == 2 && at + 1 < method.Code.Count && replacement[0] == method.Code[at + 1] && replacement[1] == method.Code[at] && replacement[0] != replacement[1] ? 2 : 1;
                    var broken = method.Code.Take(at).Concat(replacement).Concat(method.Code.Skip(at + replaced)).ToList();
                    places++;
                    try
                    {
                        method.Check(broken);
                    }
                    catch (IlException)
                    {
                        continue;
                    }
                    Assert.Fail($"seed {seed}, {name}, IL {at}, {method.Code[at]}: not noticed");
                }
            }
        }
        Assert.True(places >= 5, $"{places} places");
    }

    /// <summary>A recorded method.</summary>
    private sealed record Method(IReadOnlyList<RecordedInstruction> Code, IReadOnlyList<LocalBuilder> Locals, IReadOnlyList<Type> Parameters, Func<string, IReadOnlyList<Type>> Functions)
    {
        private readonly HashSet<int> _targets =
            [.. Code.SelectMany(item => item.Operand switch { Label label => [label.Id], Label[] labels => labels.Select(label => label.Id), _ => Enumerable.Empty<int>() })];

        /// <summary>A number that no label has.</summary>
        public int Labels { get; } = Code.Max(item => item.Label) + 1;

        /// <summary>True for a label that a branch goes to.</summary>
        public bool IsTarget(int at) => Code[at].Label >= 0 && _targets.Contains(Code[at].Label);

        public void Check(IReadOnlyList<RecordedInstruction> code) => IlChecker.Check(code, Locals, Parameters, Functions);
    }

    // What an instruction adds to the depth; 0 also for calls and returns, of which the opcode does not tell.
    private static int Effect(in RecordedInstruction item)
    {
        if (item.Label >= 0) return 0;
        return Pushes(item.OpCode.StackBehaviourPush) - Pops(item.OpCode.StackBehaviourPop);

        static int Pushes(StackBehaviour behaviour) => behaviour switch
        {
            StackBehaviour.Push0 or StackBehaviour.Varpush => 0,
            StackBehaviour.Push1_push1 => 2,
            _ => 1,
        };

        static int Pops(StackBehaviour behaviour) => behaviour switch
        {
            StackBehaviour.Pop0 or StackBehaviour.Varpop => 0,
            StackBehaviour.Pop1 or StackBehaviour.Popi or StackBehaviour.Popref => 1,
            StackBehaviour.Popi_popi_popi => 3,
            _ => 2,
        };
    }

    // True where what is on top of the stack must be of one type, whatever is below it.
    private static bool TakesOne(Method method, int at) => at < method.Code.Count && method.Code[at].Label < 0 && method.Code[at].OpCode.Name is
        "stloc" or "stfld" or "stind.i1" or "stind.i2" or "stind.i4" or "stind.i8" or "ret" or "call" or "shl" or "shr" or "shr.un" or "add" or "sub" or "mul" or "and" or "or" or "xor"
        or "beq" or "bne.un" or "bgt" or "bgt.un" or "bge" or "bge.un" or "blt" or "blt.un" or "ble" or "ble.un" or "ceq" or "cgt" or "cgt.un" or "clt" or "clt.un";

    private static void Check(VerifiedProgram program, CompilerOptions options, string what)
    {
        try
        {
            IlChecker.Check(program, options);
        }
        catch (IlException exception)
        {
            Assert.Fail($"{what}: {exception.Message}");
        }
    }

    private static VerifiedProgram RandomProgram(int seed) =>
        new RandomPrograms(seed).Make(seed % 20 == 0 ? 300 : 40, seed % 2 == 0 ? Termination.Proved : Termination.Metered);
}
