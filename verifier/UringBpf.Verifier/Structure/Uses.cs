using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Which registers an instruction reads and writes, as bit sets.</summary>
internal static class Uses
{
    private const int Arguments = 0b11_1110;
    private const int CallClobbers = 0b11_1111;

    public static (int Reads, int Writes) Of(OpcodeRow row, in Instruction instruction, ProgramSpec spec)
    {
        int dst = 1 << instruction.Destination, src = 1 << instruction.Source;
        var source = row.Source == OperandSource.Register ? src : 0;
        switch (row.Operation)
        {
            case Operation.Move or Operation.MoveSignExtend:
                return (source, dst);
            case Operation.LoadImmediate64:
                return (0, dst);
            case Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire:
                return (src, dst);
            case Operation.Store or Operation.StoreRelease:
                return (dst | source, 0);
            case Operation.AtomicCompareExchange:
                return (dst | src | 1, 1);
            case Operation.LoadPacketAbsolute:
                return (1 << 6, CallClobbers);
            case Operation.LoadPacketIndirect:
                return (1 << 6 | src, CallClobbers);
            case Operation.Jump or Operation.MayGoto:
                return (0, 0);
            case Operation.Exit:
                return (1, 0);
            case Operation.CallHelper or Operation.CallKfunc:
                var count = spec.Functions.Find(row, instruction)?.Arguments.Length ?? 5;
                return (Arguments & ((1 << (count + 1)) - 1), CallClobbers);
            case Operation.CallSubprogram:
                return (Arguments, CallClobbers);
            case Operation.CallRegister:
                return (Arguments | dst, CallClobbers);
        }
        if (row.IsAtomicReadModifyWrite) return (dst | src, row.WritesSource ? src : 0);
        if (row.IsArithmetic) return (dst | source, dst);
        return (dst | source, 0); // Conditional jumps.
    }
}
