using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// Compiled hooks as an assembly on disk: to look at in ILSpy, to precompile, to ship. It holds one public static class per
/// program (<c>Hooks.NAME</c>) whose static fields are bound to maps when it is loaded.
/// </summary>
/// <remarks>
/// An assembly's fields belong to one set of maps: to run the same hooks on another set, load the file again in another
/// <see cref="System.Runtime.Loader.AssemblyLoadContext"/>. Loading an assembly runs what is in it: load only files you made.
/// </remarks>
public static class HookAssembly
{
    /// <summary>Writes programs as an assembly.</summary>
    /// <param name="programs">What the verifier accepted; names must differ.</param>
    /// <param name="name">The assembly's name.</param>
    /// <param name="output">Where the file goes.</param>
    /// <param name="options">null for <see cref="CompilerOptions.Default"/>.</param>
    /// <exception cref="BpfException">UB3004 when a function the program calls is not public; as for <see cref="ProgramCompiler.Compile"/> else.</exception>
    [RequiresDynamicCode("Emits IL.")]
    public static void Save(IEnumerable<VerifiedProgram> programs, string name, Stream output, CompilerOptions? options = null)
    {
        var code = new PersistedCode(name);
        foreach (var program in programs) code.Add(program, options ?? CompilerOptions.Default);
        code.Save(output);
    }

    /// <summary>Binds one program of a loaded assembly to its maps.</summary>
    /// <param name="assembly">The assembly, written by <see cref="Save"/> of the same version of this library.</param>
    /// <param name="program">The program, verified anew: what the assembly holds must be its code.</param>
    /// <param name="maps">The maps its instructions name.</param>
    /// <returns>The program, ready to run. It keeps the assembly from being unloaded.</returns>
    /// <exception cref="BpfException">UB3005 when the assembly does not hold this program, or is bound already.</exception>
    /// <exception cref="KeyNotFoundException"><paramref name="maps"/> lacks one of the program's maps.</exception>
    /// <exception cref="ObjectDisposedException"><paramref name="maps"/> was disposed.</exception>
    [RequiresUnreferencedCode("Finds the program's class by name.")]
    [RequiresDynamicCode("The assembly is compiled at run time.")]
    public static BpfProgram Load(Assembly assembly, VerifiedProgram program, MapSet maps)
    {
        var type = assembly.GetType(PersistedCode.TypeName(program.Spec.Name))
            ?? throw new BpfException("UB3005", $"{assembly.GetName().Name} holds no program named '{program.Spec.Name}'.");
        if (type.GetField(PersistedCode.FingerprintField)?.GetRawConstantValue() as string != Fingerprint(program))
            throw new BpfException("UB3005", $"{assembly.GetName().Name}: '{program.Spec.Name}' was compiled from another program: bytecode, constant data, maps, functions or the context differ. Compile the object again.");
        // Before the assembly counts as bound.
        foreach (var map in program.Spec.Maps) _ = maps[map];
        var bound = type.GetField(PersistedCode.BoundField)!;
        lock (type)
        {
            if ((bool)bound.GetValue(null)!)
                throw new BpfException("UB3005", $"{assembly.GetName().Name}: '{program.Spec.Name}' is bound to a set of maps. Load the file in another AssemblyLoadContext to bind it again.");
            var loaded = new PersistedProgram(program, maps, type);
            bound.SetValue(null, true);
            return loaded;
        }
    }

    /// <summary>What the code depends on: bytecode, what was proved of it (which constant data and the size of the context are part
    /// of), the context's layout, maps, functions, and the version of this library.</summary>
    internal static string Fingerprint(VerifiedProgram program)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(typeof(HookAssembly).Module.ModuleVersionId.ToByteArray());
        hash.AppendData(MemoryMarshal.AsBytes(program.Spec.Instructions.AsSpan()));
        hash.AppendData(Encoding.UTF8.GetBytes($"{program.Type.Name} {program.Termination}"));
        AppendContext(hash, program.Type);
        foreach (var map in program.Spec.Maps)
        {
            hash.AppendData(MemoryMarshal.AsBytes<int>([program.Spec.Maps.IndexOf(map)]));
            for (var declared = map; declared is not null; declared = declared.InnerMap) AppendMap(hash, declared);
        }
        foreach (var function in program.Subprograms) hash.AppendData(MemoryMarshal.AsBytes<int>([function.Start, function.Length]));
        for (var slot = 0; slot < program.Facts.Length; slot++)
        {
            hash.AppendData(MemoryMarshal.AsBytes(Fields(program.Facts[slot]).AsSpan()));
            foreach (var function in CalledAt(program, slot))
                hash.AppendData(Encoding.UTF8.GetBytes($"{function.Id} {function.Name} {function.Traits} {function.Returns} {string.Join(' ', function.Arguments)}"));
        }
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    // A host's own type may change between saving and loading, and code holds the host's offsets of its fields.
    private static void AppendContext(IncrementalHash hash, ProgramType type)
    {
        var context = type.Context;
        hash.AppendData(MemoryMarshal.AsBytes<int>([context.Size, context.HostSize, context.IsFlat ? 1 : 0, context.BufferWritable ? 1 : 0,
            type.HasPacket ? 1 : 0, type.PassesLength ? 1 : 0, type.ReturnsInt32 ? 1 : 0, context.Fields.Length]));
        foreach (var field in context.Fields)
            hash.AppendData(MemoryMarshal.AsBytes<int>([field.Offset, field.Size, (int)field.Kind, (int)field.Access, field.HostOffset, field.HostSize]));
    }

    private static void AppendMap(IncrementalHash hash, MapSpec map) =>
        hash.AppendData(MemoryMarshal.AsBytes<long>([(long)map.Type, map.KeySize, map.ValueSize, map.MaxEntries, (long)map.Flags, (long)map.Extra,
            map.SpinLockOffset, map.IsFrozen ? 1 : 0, map.IsGlobalData ? 1 : 0, map.InnerMap is null ? 0 : 1]));

    private static IEnumerable<FunctionPrototype> CalledAt(VerifiedProgram program, int slot)
    {
        var (functions, facts) = (program.Spec.Functions, program.Facts[slot]);
        if (OpcodeTable.Find(program.Spec.Instructions[slot]) is not { IsCall: true } row) return [];
        return row.Operation == Operation.CallRegister
            ? functions.All.Where(function => function.Kind == FunctionKind.Helper && (ulong)function.Id >= facts.DestinationMin && (ulong)function.Id <= facts.DestinationMax)
            : functions.Find(row, program.Spec.Instructions[slot]) is { } one ? [one] : [];
    }

    // Field by field: what lies between the fields of a struct is not defined.
    private static long[] Fields(in InstructionFacts facts)
    {
        var flags = (facts.Reached ? 1 : 0) | (facts.DivisorNonZero ? 2 : 0) | (facts.NoDivideOverflow ? 4 : 0) | (facts.MayJump ? 8 : 0) | (facts.MayFallThrough ? 16 : 0) | (facts.UpperHalfDead ? 32 : 0);
        return [flags, (long)facts.Region, facts.Map, facts.OffsetMin, facts.OffsetMax, (long)facts.DestinationMin, (long)facts.DestinationMax, (long)facts.SourceMin, (long)facts.SourceMax, facts.ConstantKey];
    }

    // A program whose code is in an assembly.
    private sealed unsafe class PersistedProgram : BpfProgram
    {
        // What is loaded into a context that can be unloaded is, with its code, as soon as no object refers to it.
        private readonly Type _type;
        private readonly CallbackTarget[] _callbacks;

        [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "Load requires unreferenced code.")]
        public PersistedProgram(VerifiedProgram verified, MapSet maps, Type type)
            : base(verified, maps)
        {
            _type = type;
            _callbacks = GC.AllocateArray<CallbackTarget>(verified.Subprograms.Length, pinned: true);
            for (var i = 0; i < verified.Spec.Maps.Length; i++)
            {
                var header = maps[verified.Spec.Maps[i]].Header;
                _type.GetField(PersistedCode.MapField(i))?.SetValue(null, (long)header);
                _type.GetField(PersistedCode.ValueField(i))?.SetValue(null, (long)header->Data);
            }
            for (var i = 0; i < _callbacks.Length; i++)
            {
                if (_type.GetField(PersistedCode.CallbackField(i)) is not { } field) continue;
                _callbacks[i].Invoke = (delegate*<nint, ulong, ulong, ulong, ulong, byte*, ExecutionState*, ulong>)
                    _type.GetMethod(PersistedCode.CallbackMethod(i))!.MethodHandle.GetFunctionPointer();
                field.SetValue(null, (long)Marshal.UnsafeAddrOfPinnedArrayElement(_callbacks, i));
            }
            var entry = _type.GetMethod(PersistedCode.EntryMethod)!.MethodHandle;
            System.Runtime.CompilerServices.RuntimeHelpers.PrepareMethod(entry);
            EntryPoint = (delegate*<nint, byte*, ulong, ExecutionState*, ulong>)entry.GetFunctionPointer();
        }

        public override string Engine => "jit";

        public override delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint { get; }

        public override nint Self => 0;
    }
}
