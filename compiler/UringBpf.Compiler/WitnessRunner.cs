using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Compiler;

/// <summary>
/// Tries the runs that the verifier proposes for a rejection on the checked interpreter, and keeps the first that goes
/// wrong where the verifier said. The verifier itself runs nothing. Thread-safe.
/// </summary>
public static unsafe class WitnessRunner
{
    // A run that goes wrong does so soon.
    private const long InstructionBudget = 100_000;

    /// <summary>The rejection with <see cref="Rejection.Witness"/> set, if one of its proposals went wrong; else as it is.</summary>
    /// <param name="spec">The rejected program.</param>
    /// <param name="rejection">Why.</param>
    /// <param name="contextSize">Bytes of context of a run, for program types with a flat context.</param>
    public static Rejection Confirm(ProgramSpec spec, Rejection rejection, int contextSize = 0)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentNullException.ThrowIfNull(rejection);
        if (rejection.Proposals.IsEmpty || spec.Type is not { } type) return rejection;
        foreach (var proposal in rejection.Proposals)
        {
            CheckedResult result;
            try
            {
                using var maps = MapSet.Create(spec.Maps);
                using var interpreter = new CheckedInterpreter(spec, maps, SilentFunctions.All) { InstructionBudget = InstructionBudget };
                result = type == ProgramTypes.Completion ? RunHook(interpreter, proposal) : RunFlat(interpreter, type, proposal, contextSize);
            }
            catch (BpfException)
            {
                // A program whose maps can't be made, or that can't even be prepared: there is nothing to show.
                return rejection;
            }
            if (Shows(result, rejection, type) is { } outcome) return rejection with { Witness = $"{proposal.Describe()}: {outcome}" };
        }
        return rejection;
    }

    // What went wrong, when it is what the rejection is about.
    private static string? Shows(CheckedResult result, Rejection rejection, ProgramType type)
    {
        if (result.Fault is { } fault)
        {
            // What lies at a map's address is this process's own matter: the run would tell of that. And a call that can't be
            // made at all goes wrong in every run, which says no more than the message.
            if (rejection.Code == "UB2119" || fault.Code is not ("UB4010" or "UB4012")) return null;
            // A wrong pointer does harm where it is used, later.
            var later = rejection.Code is "UB2201" or "UB2202" or "UB2203" && fault.Code == "UB4010";
            return later || fault.Instruction == rejection.Instruction ? Shortened(fault) : null;
        }
        if (rejection.Code != "UB2501") return null;
        var returned = type.ReturnsInt32 ? (int)result.Result : (long)result.Result;
        return returned < type.ReturnMin || returned > type.ReturnMax ? $"returns {returned}" : null;
    }

    private static CheckedResult RunHook(CheckedInterpreter interpreter, Witness proposal)
    {
        var test = new HookTest { Data = new byte[proposal.DataLength ?? 0] };
        Span<byte> context = stackalloc byte[ProgramTypes.Completion.Context.HostSize];
        Fill(ProgramTypes.Completion.Context, proposal, context);
        fixed (byte* c = context)
        {
            test.UserData = *(ulong*)c;
            if (*(int*)(c + 8) != 0) test.Result = *(int*)(c + 8);
            test.Flags = *(uint*)(c + 12);
            test.Opcode = *(uint*)(c + 16);
            test.Step = *(uint*)(c + 20);
            test.File = *(int*)(c + 24);
            test.Buffer = *(uint*)(c + 28);
            test.Offset = *(ulong*)(c + 32);
            new ReadOnlySpan<ulong>(c + 56, 8).CopyTo(test.Scratch);
        }
        return test.Run(interpreter);
    }

    private static CheckedResult RunFlat(CheckedInterpreter interpreter, ProgramType type, Witness proposal, int contextSize)
    {
        var layout = type.Context;
        var context = new byte[layout.IsFlat ? contextSize : layout.HostSize];
        var data = new byte[proposal.DataLength ?? 0];
        Fill(layout, proposal, context);
        fixed (byte* bytes = context)
        fixed (byte* start = data)
        {
            foreach (var field in layout.Fields)
            {
                if (field.Kind == ContextFieldKind.BufferStart) *(byte**)(bytes + field.HostOffset) = start;
                if (field.Kind == ContextFieldKind.BufferEnd) *(byte**)(bytes + field.HostOffset) = start + data.Length;
            }
            if (type.HasPacket)
            {
                // Packet contexts begin with the packet's bounds, whether the program may read them or not.
                ((byte**)bytes)[0] = start;
                ((byte**)bytes)[1] = start + data.Length;
            }
            return interpreter.Run(context);
        }
    }

    private static void Fill(ContextLayout layout, Witness proposal, Span<byte> context)
    {
        Span<byte> value = stackalloc byte[8];
        foreach (var input in proposal.Inputs)
        {
            var at = layout.IsFlat ? input.Offset : layout.Find(input.Offset, input.Size) is { Kind: ContextFieldKind.Scalar or ContextFieldKind.FlatMemory } field ? field.HostOffset + input.Offset - field.Offset : -1;
            if (at < 0 || at + input.Size > context.Length) continue;
            BitConverter.TryWriteBytes(value, input.Value);
            value[..input.Size].CopyTo(context[at..]);
        }
    }

    // Addresses of one run mean nothing to a reader.
    private static string Shortened(CheckedFault fault)
    {
        var message = fault.Message;
        var at = message.IndexOf(" at 0x", StringComparison.Ordinal);
        var end = at < 0 ? -1 : message.IndexOf(',', at);
        var text = end < 0 ? message : message[..at] + message[(end + 1)..];
        const string nowhere = " in no memory of the program";
        if (fault.Address < 4096) text = text.Replace(nowhere, fault.Address == 0 ? " at NULL" : $" at NULL + {fault.Address}", StringComparison.Ordinal);
        return char.IsDigit(text[0]) ? $"touches {text}" : text;
    }
}
